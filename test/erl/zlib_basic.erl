%% zlib: OTP's own natives over our NIF interface.
-module(zlib_basic).
-export([main/0]).
-include("test.hrl").

main() ->
    Text = binary:copy(<<"The quick brown fox. ">>, 2000),
    Rand = << <<(erlang:phash2(I, 256))>> || I <- lists:seq(1, 50000) >>,
    [begin
         ?is(true, zlib:uncompress(zlib:compress(D)) =:= D),
         ?is(true, zlib:unzip(zlib:zip(D)) =:= D),
         ?is(true, zlib:gunzip(zlib:gzip(D)) =:= D)
     end || D <- [<<>>, <<"a">>, Text, Rand, binary:copy(Rand, 40)]],
    ?is(<<120,156,75,76,74,6,0,2,77,1,39>>, zlib:compress("abc")),
    ?is(true, byte_size(zlib:compress(Text)) < 500),
    ?raises({error, data_error}, zlib:uncompress(<<"not compressed at all">>)),
    ?raises({error, badarg}, zlib:compress(abc)),
    ?is(<<"iolist">>, zlib:uncompress(zlib:compress(["io", [<<"li">>], "st"]))),
    streams(Text),
    dictionary(),
    checksums(),
    owner().

streams(Text) ->
    Z = zlib:open(),
    ?is(ok, zlib:deflateInit(Z, best_compression)),
    B1 = [zlib:deflate(Z, binary:part(Text, 0, 1000), sync),
          zlib:deflate(Z, binary:part(Text, 1000, byte_size(Text) - 1000), finish)],
    ?is(ok, zlib:deflateEnd(Z)),
    ?is(ok, zlib:inflateInit(Z)),
    ?is(true, iolist_to_binary(zlib:inflate(Z, B1)) =:= Text),
    ?is(ok, zlib:inflateEnd(Z)),
    ?is(ok, zlib:inflateInit(Z)),
    ?is(true, iolist_to_binary(safe(Z, zlib:safeInflate(Z, B1))) =:= Text),
    ?is(ok, zlib:inflateEnd(Z)),
    ?raises({error, not_initialized}, zlib:deflate(Z, "x")),
    ?is(ok, zlib:deflateInit(Z)),
    ?raises({error, already_initialized}, zlib:inflateInit(Z)),
    ?is(ok, zlib:close(Z)),
    ?raises({error, not_initialized}, zlib:close(Z)),
    ?raises({error, badarg}, zlib:close(make_ref())).

safe(Z, {continue, Out}) -> [Out | safe(Z, zlib:safeInflate(Z, []))];
safe(_, {finished, Out}) -> [Out].

dictionary() ->
    Z = zlib:open(),
    ok = zlib:deflateInit(Z),
    Adler = zlib:deflateSetDictionary(Z, <<"dictionary">>),
    ?is(erlang:adler32(<<"dictionary">>), Adler),
    C = zlib:deflate(Z, <<"a dictionary word">>, finish),
    ok = zlib:deflateEnd(Z),
    ok = zlib:inflateInit(Z),
    ?is({need_dictionary, Adler, []}, zlib:safeInflate(Z, C)),
    ?is(ok, zlib:inflateSetDictionary(Z, <<"dictionary">>)),
    ?is(<<"a dictionary word">>, iolist_to_binary(zlib:inflate(Z, []))),
    zlib:close(Z).

checksums() ->
    ?is(907060870, erlang:crc32("hello")),
    ?is(103547413, erlang:adler32("hello")),
    ?is(907060870, erlang:crc32(erlang:crc32("he"), "llo")),
    ?is(907060870, erlang:crc32_combine(erlang:crc32("he"), erlang:crc32("llo"), 3)).

%% A stream belongs to the process that opened it, until it is passed on.
owner() ->
    Self = self(),
    Z = zlib:open(),
    spawn(fun() -> Self ! {r, catch zlib:deflateInit(Z)} end),
    receive {r, R} -> ?matches({'EXIT', {not_on_controlling_process, _}}, R) end,
    zlib:close(Z).
