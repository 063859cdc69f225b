%% Binaries and lists: conversions, parts, integers, sums.
-module(binary_parts).
-export([main/0]).
-include("test.hrl").

main() ->
    lists_of(),
    iolists(),
    parts(),
    bytes(),
    integers(),
    common(),
    sums(),
    hex().

id(X) -> X.

lists_of() ->
    ?is([1, 2, 3], binary_to_list(<<1, 2, 3>>)),
    ?is([], binary_to_list(<<>>)),
    <<_:3, U/binary>> = <<0:3, 1, 2, 255>>,
    ?is([1, 2, 255], binary_to_list(U)),
    ?is([2, 255], binary_to_list(U, 2, 3)),
    ?is([2], binary_to_list(<<1, 2, 3>>, 2, 2)),
    [?raises({error, badarg}, binary_to_list(<<1, 2, 3>>, A, B))
     || {A, B} <- [{0, 1}, {1, 4}, {3, 2}, {4, 4}, {-1, 1}, {a, 1}, {1, 1 bsl 70}]],
    ?raises({error, badarg}, binary_to_list(foo)),
    ?raises({error, badarg}, binary_to_list(<<1:1>>)),
    ?is([1, <<1:1>>], bitstring_to_list(<<1, 1:1>>)),
    ?is([<<1:1>>], bitstring_to_list(<<1:1>>)),
    ?is([1, 2], bitstring_to_list(<<1, 2>>)),
    ?is(<<1, 2, 1:1, 3, 5:3>>, list_to_bitstring([1, [2, <<1:1>>], 3 | <<5:3>>])),
    ?is(<<>>, list_to_bitstring([])),
    ?raises({error, badarg}, list_to_bitstring([256])),
    ?raises({error, badarg}, list_to_bitstring([a])),
    ?raises({error, badarg}, list_to_bitstring(<<>>)),
    ?is("bc", binary:bin_to_list(<<"abcd">>, 1, 2)),
    ?is("ab", binary:bin_to_list(<<"abcd">>, 2, -2)),
    L = [I band 255 || I <- lists:seq(1, 300000)],
    ?is(true, L =:= binary_to_list(list_to_binary(L))).

iolists() ->
    ?is(<<"abcdef">>, list_to_binary(["a", <<"b">>, ["c", [$d | <<"e">>]], [] | <<"f">>])),
    ?is(<<"abc">>, iolist_to_binary(<<"abc">>)),
    ?is(<<>>, iolist_to_binary([[], <<>>, [[[]]]])),
    ?is(6, iolist_size(["a", <<"b">>, ["c", [$d | <<"e">>]], [] | <<"f">>])),
    ?is(3, iolist_size(<<1, 2, 3>>)),
    ?is(<<"abc">>, iolist_to_binary(erlang:iolist_to_iovec(["a", [<<"bc">>]]))),
    ?is([], erlang:iolist_to_iovec([[], <<>>])),
    [begin
         ?raises({error, badarg}, list_to_binary(X)),
         ?raises({error, badarg}, iolist_to_binary(X)),
         ?raises({error, badarg}, iolist_size(X))
     end || X <- [foo, 1, [256], [-1], [a], [1 | 2], [<<1:1>>], [<<"a">> | b], [1.0]]],
    ?raises({error, badarg}, list_to_binary(<<>>)),
    ?raises({error, badarg}, iolist_to_binary(<<1:1>>)),
    Deep = lists:foldl(fun(I, A) -> [A, I band 255] end, [], lists:seq(1, 200000)),
    ?is(200000, byte_size(list_to_binary(Deep))),
    ?is(200000, iolist_size(Deep)).

parts() ->
    B = id(<<"0123456789">>),
    ?is(<<"34">>, binary:part(B, 3, 2)),
    ?is(<<"12">>, binary:part(B, 3, -2)),
    ?is(<<"12">>, binary_part(B, {3, -2})),
    ?is(<<>>, binary_part(B, 10, 0)),
    [begin
         ?raises({error, badarg}, binary:part(B, X, Y)),
         ?raises({error, badarg}, binary_part(B, {X, Y}))
     end || {X, Y} <- [{11, 0}, {0, 11}, {1, -2}, {-1, 1}, {a, 0}, {0, 1 bsl 64}, {1 bsl 64, 0}]],
    ?raises({error, badarg}, binary:part(B, foo)),
    G = fun(X, P, L) when binary_part(X, P, L) =:= <<"34">> -> yes;
           (_, _, _) -> no
        end,
    ?is({yes, no, no}, {G(B, 3, 2), G(B, 4, 2), G(B, 20, 2)}),
    ?is({<<"012">>, <<"3456789">>}, split_binary(B, 3)),
    ?is({<<>>, B}, split_binary(B, 0)),
    ?is({B, <<>>}, split_binary(B, 10)),
    ?is({<<"0">>, <<$1, 1:1>>}, split_binary(<<"01", 1:1>>, 1)),
    ?raises({error, badarg}, split_binary(B, 11)),
    ?raises({error, badarg}, split_binary(B, -1)),
    ?raises({error, badarg}, split_binary(foo, 0)),
    ?is(<<"abab">>, binary:copy(<<"ab">>, 2)),
    ?is(<<>>, binary:copy(<<"ab">>, 0)),
    ?is(<<"abc">>, binary:copy(<<"abc">>)),
    ?is(3 * 1001, byte_size(binary:copy(<<"abc">>, 1001))),
    ?is(binary:copy(<<"abc">>, 8), iolist_to_binary(lists:duplicate(8, "abc"))),
    ?raises({error, badarg}, binary:copy(<<"a">>, -1)),
    ?raises({error, badarg}, binary:copy(<<1:1>>)),
    ?raises({error, badarg}, binary:copy(<<1>>, 1 bsl 100)),
    Big = binary:copy(<<"x">>, 1000),
    ?is(1000, binary:referenced_byte_size(binary:part(Big, 0, 100))),
    ?is(10, binary:referenced_byte_size(binary:part(Big, 0, 10))),
    ?is(100, binary:referenced_byte_size(binary:copy(binary:part(Big, 0, 100)))).

bytes() ->
    <<_:5, U/binary>> = <<0:5, "xyz">>,
    ?is({$x, $y, $z, $z}, {binary:first(U), binary:at(U, 1), binary:at(U, 2), binary:last(U)}),
    ?raises({error, badarg}, binary:at(U, 3)),
    ?raises({error, badarg}, binary:at(U, -1)),
    ?raises({error, badarg}, binary:first(<<>>)),
    ?raises({error, badarg}, binary:last(<<>>)),
    ?raises({error, badarg}, binary:last(<<1, 1:1>>)).

integers() ->
    [begin
         ?is(N, binary:decode_unsigned(binary:encode_unsigned(N))),
         ?is(N, binary:decode_unsigned(binary:encode_unsigned(N, little), little)),
         ?is(binary:encode_unsigned(N),
             list_to_binary(lists:reverse(binary_to_list(binary:encode_unsigned(N, little)))))
     end || N <- [0, 1, 255, 256, 65535, 1 bsl 59, (1 bsl 59) - 1, 1 bsl 63, 1 bsl 64,
                  (1 bsl 64) - 1, 1 bsl 1000, (1 bsl 1000) - 3]],
    ?is(<<0>>, binary:encode_unsigned(0)),
    ?is(<<1, 0>>, binary:encode_unsigned(256)),
    ?is(<<0, 1>>, binary:encode_unsigned(256, little)),
    ?is(0, binary:decode_unsigned(<<>>)),
    ?is(1, binary:decode_unsigned(<<0:200, 1>>)),
    ?is(1, binary:decode_unsigned(<<1, 0:200>>, little)),
    <<_:1, U/binary>> = <<0:1, 1:72>>,
    ?is(1, binary:decode_unsigned(U)),
    ?raises({error, badarg}, binary:encode_unsigned(-1)),
    ?raises({error, badarg}, binary:encode_unsigned(-(1 bsl 70))),
    ?raises({error, badarg}, binary:encode_unsigned(1, foo)),
    ?raises({error, badarg}, binary:decode_unsigned(<<1:1>>)).

common() ->
    ?is(2, binary:longest_common_prefix([<<"abc">>, <<"abd">>, <<"abxy">>])),
    ?is(0, binary:longest_common_prefix([<<"abc">>, <<"xbc">>])),
    ?is(3, binary:longest_common_prefix([<<"abc">>])),
    ?is(0, binary:longest_common_prefix([<<"abc">>, <<>>])),
    ?is(2, binary:longest_common_suffix([<<"abc">>, <<"xbc">>])),
    ?is(3, binary:longest_common_suffix([<<"abc">>, <<"xyabc">>])),
    <<_:3, U/binary>> = <<0:3, "abcd">>,
    ?is(3, binary:longest_common_prefix([<<"abc">>, U])),
    ?raises({error, badarg}, binary:longest_common_prefix([])),
    ?raises({error, badarg}, binary:longest_common_prefix([<<1:1>>])),
    ?raises({error, badarg}, binary:longest_common_suffix([<<"a">> | foo])).

sums() ->
    ?is(<<16#900150983cd24fb0d6963f7d28e17f72:128>>, erlang:md5("abc")),
    ?is(erlang:md5([<<"a">>, "bc"]),
        erlang:md5_final(erlang:md5_update(erlang:md5_update(erlang:md5_init(), "ab"), <<"c">>))),
    Long = binary:copy(<<"0123456789">>, 1000),
    Steps = lists:foldl(fun(_, C) -> erlang:md5_update(C, <<"0123456789">>) end,
                        erlang:md5_init(), lists:seq(1, 1000)),
    ?is(erlang:md5(Long), erlang:md5_final(Steps)),
    ?is(16#352441c2, erlang:crc32("abc")),
    ?is(16#024d0127, erlang:adler32("abc")),
    ?is(0, erlang:crc32([])),
    ?is(1, erlang:adler32(<<>>)),
    ?is(erlang:crc32("abcdef"), erlang:crc32(erlang:crc32("abc"), "def")),
    ?is(erlang:adler32("abcdef"), erlang:adler32(erlang:adler32("abc"), "def")),
    ?is(erlang:crc32("abcdef"), erlang:crc32_combine(erlang:crc32("abc"), erlang:crc32("def"), 3)),
    ?is(erlang:adler32("abcdef"),
        erlang:adler32_combine(erlang:adler32("abc"), erlang:adler32("def"), 3)),
    ?raises({error, badarg}, erlang:md5(foo)),
    ?raises({error, badarg}, erlang:md5([256])),
    ?raises({error, badarg}, erlang:md5_update(<<"short">>, "a")),
    ?raises({error, badarg}, erlang:crc32(-1, "a")),
    ?raises({error, badarg}, erlang:crc32(1 bsl 32, "a")),
    ?raises({error, badarg}, erlang:crc32(<<1:1>>)),
    ?raises({error, badarg}, erlang:adler32_combine(a, 1, 1)).

hex() ->
    ?is(<<"00FFA5">>, binary:encode_hex(<<0, 255, 165>>)),
    ?is(<<0, 255, 165>>, binary:decode_hex(<<"00ffA5">>)).
