%% unicode:characters_to_binary and characters_to_list.
-module(unicode_chars).
-export([main/0]).
-include("test.hrl").

main() ->
    good(),
    latin1(),
    wrong(),
    cut(),
    badargs(),
    encodings(),
    long().

-define(B(X), unicode:characters_to_binary(X)).
-define(L(X), unicode:characters_to_list(X)).

good() ->
    ?is(<<"abc">>, ?B("abc")),
    ?is(<<>>, ?B([])),
    ?is([], ?L([])),
    ?is(<<226, 130, 172, 240, 144, 128, 128>>, ?B([16#20ac, 16#10000])),
    ?is([16#20ac, 16#10000], ?L(<<226, 130, 172, 240, 144, 128, 128>>)),
    ?is(<<"aåb€c"/utf8>>, ?B(["a", [16#e5, <<"b">>], [[[<<226, 130, 172>>]]] | <<"c">>])),
    ?is("aåb€c", ?L(["a", [16#e5, <<"b">>], [[[<<226, 130, 172>>]]] | <<"c">>])),
    %% A character in two binaries.
    ?is(<<"€"/utf8>>, ?B([<<226>>, <<130>>, [<<>>, <<172>>]])),
    ?is("€x", ?L([<<226, 130>>, [<<172, $x>>]])),
    ?is([0, 16#7f, 16#80, 16#7ff, 16#800, 16#d7ff, 16#e000, 16#fffe, 16#ffff, 16#10ffff],
        ?L(?B([0, 16#7f, 16#80, 16#7ff, 16#800, 16#d7ff, 16#e000, 16#fffe, 16#ffff, 16#10ffff]))),
    <<_:3, U/binary>> = <<0:3, 226, 130, 172>>,
    ?is("€", ?L(U)),
    ?is(<<"€"/utf8>>, ?B(U)),
    ?is(true, unicode:bin_is_7bit(<<"abc">>)),
    ?is(false, unicode:bin_is_7bit(<<128>>)),
    ?is(false, unicode:bin_is_7bit(foo)).

latin1() ->
    ?is(<<195, 165, $a>>, unicode:characters_to_binary(<<229, $a>>, latin1)),
    ?is(<<195, 165, 195, 182>>, unicode:characters_to_binary([229, <<246>>], latin1)),
    ?is([229, 246], unicode:characters_to_list([229 | <<246>>], latin1)),
    ?is([229], unicode:characters_to_list(<<229>>, latin1)),
    ?is(<<"abc">>, unicode:characters_to_binary([<<"abc">>], latin1)),
    ?is({error, <<"a">>, [256, 1]}, unicode:characters_to_binary([$a, 256, 1], latin1)),
    ?is({error, "a", [[256]]}, unicode:characters_to_list([$a, [256]], latin1)).

wrong() ->
    ?is({error, <<"a">>, <<255, $b>>}, ?B(<<"a", 255, $b>>)),
    ?is({error, "a", <<255, $b>>}, ?L(<<"a", 255, $b>>)),
    ?is({error, <<"a">>, [16#d800, $b]}, ?B([$a, 16#d800, $b])),
    ?is({error, "a", [16#110000]}, ?L([$a, 16#110000])),
    ?is({error, <<"a">>, [-1]}, ?B([$a, -1])),
    ?is({error, <<"a">>, [1 bsl 70, foo]}, ?B([$a, 1 bsl 70, foo])),
    %% What is left at each level.
    ?is({error, <<"ab">>, [[[16#d800, $c], $d], $e]}, ?B([$a, [$b, [16#d800, $c], $d], $e])),
    ?is({error, <<"ab">>, [[<<255>>, $d], $e]}, ?B([$a, [$b, <<255>>, $d], $e])),
    ?is({error, <<"ab">>, [<<255, $x>> | <<"y">>]}, ?B([$a, <<$b, 255, $x>> | <<"y">>])),
    ?is({error, <<"ab">>, <<255>>}, ?B([$a, $b | <<255>>])),
    ?is({error, <<"a">>, [[16#d800]]}, ?B([$a, [16#d800]])),
    ?is({error, <<>>, [<<226, 130>>, [$a]]}, ?B([<<226, 130>>, $a])),
    ?is({error, <<>>, [<<226, 130>>, [<<"ab">>]]}, ?B([<<226, 130>>, <<"ab">>])),
    ?is({error, [], [<<226>>, [[<<"ab">>], $c]]}, ?L([<<226>>, [<<"ab">>], $c])),
    [?is({error, <<>>, B}, ?B(B))
     || B <- [<<128>>, <<192, 128>>, <<193, 191>>, <<224, 128, 128>>, <<237, 160, 128>>,
              <<240, 128, 128, 128>>, <<244, 144, 128, 128>>, <<248, 128, 128, 128, 128>>,
              <<226, 40, 161>>, <<255>>, <<254>>]].

cut() ->
    ?is({incomplete, <<"a">>, <<226, 130>>}, ?B(<<"a", 226, 130>>)),
    ?is({incomplete, "a", <<226, 130>>}, ?L(<<"a", 226, 130>>)),
    ?is({incomplete, <<"a">>, <<226, 130>>}, ?B([$a, <<226>>, <<130>>])),
    ?is({incomplete, "a", <<195>>}, ?L([$a, <<195>>])),
    ?is({incomplete, <<>>, <<192>>}, ?B(<<192>>)),
    ?is({incomplete, <<>>, <<224, 128>>}, ?B(<<224, 128>>)),
    ?is({incomplete, <<>>, <<244, 144>>}, ?B(<<244, 144>>)),
    ?is({incomplete, <<>>, <<240, 144, 128>>}, ?B([<<240>>, <<144, 128>>])),
    ?is({error, <<>>, <<226, 40>>}, ?B(<<226, 40>>)),
    ?is({error, [], <<226, 40>>}, ?L(<<226, 40>>)),
    ?is({error, <<>>, <<240, 144, 40>>}, ?B(<<240, 144, 40>>)),
    ?is({error, <<>>, <<226, 40>>}, ?B([<<226>>, <<40>>])).

badargs() ->
    [begin
         ?raises({error, badarg}, ?B(X)),
         ?raises({error, badarg}, ?L(X))
     end || X <- [foo, 1, [foo], [$a | $b], <<1:1>>, [<<1:1>>], [$a, {}], [1.0], [$a, [$b | c]]]],
    ?raises({error, badarg}, unicode:characters_to_binary("a", foo)),
    ?raises({error, badarg}, unicode:characters_to_list("a", foo)).

encodings() ->
    ?is(<<0, $a, 32, 172>>, unicode:characters_to_binary("a€", unicode, utf16)),
    ?is(<<$a, 0, 0, 216, 0, 220>>, unicode:characters_to_binary([$a, 16#10000], utf8, {utf16, little})),
    ?is("a€", unicode:characters_to_list(<<0, $a, 32, 172>>, utf16)),
    ?is("a€", unicode:characters_to_list(<<0, 0, 0, $a, 0, 0, 32, 172>>, utf32)),
    ?is(<<"a€"/utf8>>, unicode:characters_to_binary(<<0, $a, 32, 172>>, utf16)),
    ?is(<<229>>, unicode:characters_to_binary([229], unicode, latin1)),
    ?matches({error, <<"a">>, _}, unicode:characters_to_binary("a€", unicode, latin1)),
    ?is("ö", unicode:characters_to_nfc_list([$o, 16#308])),
    ?is([$o, 16#308], unicode:characters_to_nfd_list("ö")).

long() ->
    L = [case I rem 4 of 0 -> $a; 1 -> 16#e5; 2 -> 16#20ac; 3 -> 16#10348 end
         || I <- lists:seq(1, 100000)],
    B = << <<C/utf8>> || C <- L >>,
    ?is(true, B =:= ?B(L)),
    ?is(true, L =:= ?L(B)),
    ?is(true, L =:= ?L([binary:part(B, 0, 100001), binary:part(B, 100001, byte_size(B) - 100001)])),
    Deep = lists:foldl(fun(C, A) -> [A, C] end, [], L),
    ?is(true, B =:= ?B(Deep)),
    ?is({error, B, [<<255>>]}, ?B([Deep, <<255>>])).
