%% erlang:decode_packet/3: lengths, lines, HTTP, TLS.
-module(decode_packet_bif).
-export([main/0]).
-include("test.hrl").

-define(D(Type, Bin), erlang:decode_packet(Type, Bin, [])).

main() ->
    lengths(),
    lines(),
    requests(),
    responses(),
    headers(),
    tls(),
    errors().

lengths() ->
    ?is({ok, <<1, 2>>, <<>>}, ?D(raw, <<1, 2>>)),
    ?is({more, undefined}, ?D(raw, <<>>)),
    ?is({ok, <<"ab">>, <<"c">>}, ?D(1, <<2, "abc">>)),
    ?is({ok, <<>>, <<"c">>}, ?D(1, <<0, "c">>)),
    ?is({more, 6}, ?D(2, <<4:16, "abc">>)),
    ?is({more, undefined}, ?D(2, <<0>>)),
    ?is({ok, <<"abcd">>, <<1:1>>}, ?D(4, <<4:32, "abcd", 1:1>>)),
    ?is({error, invalid}, ?D(4, <<-1:32, "abcd">>)),
    ?is({ok, <<16#80000002:32, "ab">>, <<"c">>}, ?D(sunrm, <<16#80000002:32, "abc">>)),
    ?is({ok, <<48, 3, "abc">>, <<"d">>}, ?D(asn1, <<48, 3, "abcd">>)),
    ?is({ok, <<48, 16#82, 0, 3, "abc">>, <<"d">>}, ?D(asn1, <<48, 16#82, 0, 3, "abcd">>)),
    ?is({ok, <<16#1f, 16#81, 1, 1, "a">>, <<>>}, ?D(asn1, <<16#1f, 16#81, 1, 1, "a">>)),
    ?is({more, undefined}, ?D(asn1, <<16#1f, 16#81, 16#81>>)),
    ?is({error, invalid}, ?D(asn1, <<48, 16#85, 0, 0, 0, 0, 0>>)),
    ?is({ok, <<3, 0, 0, 6, "ab">>, <<"c">>}, ?D(tpkt, <<3, 0, 0, 6, "abc">>)),
    ?is({error, invalid}, ?D(tpkt, <<3, 0, 0, 3, "abc">>)),
    ?is({error, invalid}, ?D(tpkt, <<2, 0, 0, 6, "abc">>)),
    Fcgi = <<1, 1, 0, 1, 0, 3, 2, 0, "abc">>,
    ?is({ok, Fcgi, <<"z">>}, ?D(fcgi, <<Fcgi/binary, "xyz">>)),
    Cdr = <<"GIOP", 1, 0, 1, 0, 3, 0, 0, 0, "abc">>,
    ?is({ok, Cdr, <<"d">>}, ?D(cdr, <<Cdr/binary, "d">>)),
    ?is({error, invalid}, ?D(cdr, <<"giop", 1, 0, 1, 0, 3, 0, 0, 0, "abc">>)),
    <<_:3, U/bits>> = <<0:3, 2, "abc", 5:3>>,
    ?is({ok, <<"ab">>, <<"c", 5:3>>}, ?D(1, U)),
    ?is({error, invalid}, erlang:decode_packet(1, <<5, "abcde">>, [{packet_size, 4}])).

lines() ->
    ?is({ok, <<"ab\n">>, <<"c">>}, ?D(line, <<"ab\nc">>)),
    ?is({more, undefined}, ?D(line, <<"ab">>)),
    ?is({ok, <<"abc">>, <<"def\n">>}, erlang:decode_packet(line, <<"abcdef\n">>, [{line_length, 3}])),
    ?is({ok, <<"abc">>, <<>>}, erlang:decode_packet(line, <<"abc">>, [{line_length, 3}])),
    ?is({error, invalid}, erlang:decode_packet(line, <<"abcdef\n">>, [{packet_size, 3}])),
    ?is({ok, <<"ab;">>, <<"c">>}, erlang:decode_packet(line, <<"ab;c">>, [{line_delimiter, $;}])).

requests() ->
    ?is({ok, {http_request, 'GET', {abs_path, "/a?b"}, {1, 1}}, <<"x">>},
        ?D(http, <<"GET /a?b HTTP/1.1\r\nx">>)),
    ?is({ok, {http_request, 'GET', {abs_path, <<"/">>}, {0, 9}}, <<>>}, ?D(http_bin, <<"GET /\n">>)),
    ?is({ok, {http_request, "BREW", '*', {1, 0}}, <<>>}, ?D(http, <<"BREW * HTTP/1.0\r\n">>)),
    U = fun(S) ->
                {ok, {http_request, 'PUT', X, {1, 1}}, <<>>} =
                    ?D(http, <<"PUT ", S/binary, " HTTP/1.1\r\n">>),
                X
        end,
    ?is({absoluteURI, http, "h", undefined, "/"}, U(<<"http://h">>)),
    ?is({absoluteURI, https, "h", 80, "/p?q"}, U(<<"HTTPS://h:80/p?q">>)),
    ?is({absoluteURI, http, "h", undefined, "/"}, U(<<"http://h:x/">>)),
    ?is({scheme, "ftp", "//h/"}, U(<<"ftp://h/">>)),
    ?is("host", U(<<"host">>)),
    ?is({abs_path, "x"}, U(<<"x">>)),
    ?is({ok, {http_error, "nonsense\r\n"}, <<>>}, ?D(http, <<"nonsense\r\n">>)),
    ?is({ok, {http_error, "GET / FTP/1.1\r\n"}, <<>>}, ?D(http, <<"GET / FTP/1.1\r\n">>)),
    ?is({more, undefined}, ?D(http, <<"GET / HT">>)),
    ?is({error, invalid}, erlang:decode_packet(http, <<"GET / HTTP/1.1\r\n">>, [{packet_size, 5}])).

responses() ->
    ?is({ok, {http_response, {1, 1}, 404, "Not Found"}, <<>>}, ?D(http, <<"HTTP/1.1 404 Not Found\r\n">>)),
    ?is({ok, {http_response, {1, 0}, 200, <<>>}, <<>>}, ?D(http_bin, <<"HTTP/1.0 200\r\n">>)),
    ?is({ok, {http_error, "HTTP/1 200 OK\r\n"}, <<>>}, ?D(http, <<"HTTP/1 200 OK\r\n">>)).

headers() ->
    ?is({ok, {http_header, 14, 'Host', "hOST", "x:1"}, <<"\r\n">>}, ?D(httph, <<"hOST:  x:1\r\n\r\n">>)),
    ?is({ok, {http_header, 42, 'Content-Type', <<"CONTENT-TYPE">>, <<"a/b">>}, <<"\r">>},
        ?D(httph_bin, <<"CONTENT-TYPE: a/b\r\n\r">>)),
    ?is({ok, {http_header, 0, "X-Foo-Bar", "x-fOO-bar", "1"}, <<"A">>}, ?D(httph, <<"x-fOO-bar: 1\r\nA">>)),
    ?is({ok, {http_header, 0, "--A", "--a", "1"}, <<"A">>}, ?D(httph, <<"--a: 1\r\nA">>)),
    ?is({ok, {http_header, 9, 'Accept-Charset', "Accept-charset", "a\r\n b"}, <<"X">>},
        ?D(httph, <<"Accept-charset: a\r\n b\r\nX">>)),
    ?is({more, undefined}, ?D(httph, <<"Host: x\r\n">>)),
    ?is({ok, http_eoh, <<"body">>}, ?D(httph, <<"\r\nbody">>)),
    ?is({ok, http_eoh, <<>>}, ?D(httph, <<"\r\n">>)),
    ?is({ok, {http_error, "no header\r\n"}, <<"X">>}, ?D(httph, <<"no header\r\nX">>)),
    Long = binary:copy(<<"x">>, 60),
    L = binary_to_list(Long),
    ?is({ok, {http_header, 0, L, L, "1"}, <<"X">>}, ?D(httph, <<Long/binary, ": 1\r\nX">>)).

tls() ->
    ?is({ok, {ssl_tls, [], 22, {3, 3}, <<"abc">>}, <<"d">>}, ?D(ssl_tls, <<22, 3, 3, 3:16, "abcd">>)),
    ?is({ok, {ssl_tls, [], 22, {3, 1}, <<1, 5:24, 3, 1, "abc">>}, <<"d">>},
        ?D(ssl_tls, <<16#80, 6, 1, 3, 1, "abc", "d">>)),
    ?is({error, invalid}, ?D(ssl_tls, <<16#80, 1, 1, 3, 1, "abc">>)).

errors() ->
    ?raises({error, badarg}, ?D(3, <<>>)),
    ?raises({error, badarg}, ?D(foo, <<>>)),
    ?raises({error, badarg}, ?D(raw, "list")),
    ?raises({error, badarg}, erlang:decode_packet(raw, <<>>, foo)),
    ?raises({error, badarg}, erlang:decode_packet(raw, <<>>, [foo])),
    ?raises({error, badarg}, erlang:decode_packet(raw, <<>>, [{line_delimiter, 1}])),
    ?raises({error, badarg}, erlang:decode_packet(raw, <<>>, [{packet_size, -1}])).
