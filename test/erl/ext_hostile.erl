%% binary_to_term of what a stranger may send.
-module(ext_hostile).
-export([main/0]).
-include("test.hrl").

main() ->
    [?raises({error, badarg}, binary_to_term(B)) || B <- bad()],
    [?raises({error, badarg}, binary_to_term(B)) || B <- [foo, "list", 1, <<1:1>>]],
    cut(),
    flipped(),
    %% What follows the term is nobody's business.
    ?is(1, binary_to_term(<<131, 97, 1, 97, 2>>)),
    %% An empty list in the place of a tail, again and again.
    ?is([], binary_to_term(<<131, (binary:copy(<<108, 0:32>>, 1000))/binary, 106>>)),
    %% Bignums that are small, or have leading zeros.
    ?is(1, binary_to_term(<<131, 110, 1, 0, 1>>)),
    ?is(-1, binary_to_term(<<131, 110, 8, 1, 1, 0:56>>)),
    ?is(0, binary_to_term(<<131, 110, 3, 1, 0, 0, 0>>)),
    ?is(0, binary_to_term(<<131, 110, 0, 0>>)),
    ?is(1 bsl 64, binary_to_term(<<131, 111, 20:32, 0, 0:64, 1, 0:88>>)),
    ?is("", binary_to_term(<<131, 107, 0, 0>>)).

bad() ->
    [<<>>, <<131>>, <<130, 97, 1>>, <<131, 97>>, <<131, 98, 1, 2, 3>>, <<131, 0>>, <<131, 255>>,
     <<131, 68>>, <<131, 82, 0>>,
     <<131, 100, 1, 0, 0>>, <<131, 100, 0, 5, "abc">>,
     <<131, 100, 256:16, (binary:copy(<<$a>>, 256))/binary>>,
     <<131, 118, 256:16, (binary:copy(<<$a>>, 256))/binary>>,
     <<131, 119, 1, 255>>, <<131, 119, 2, 192, 128>>, <<131, 119, 3, 237, 160, 128>>,
     <<131, 108, 16#ffffffff:32, 97, 1, 106>>, <<131, 108, 1:32, 97, 1>>,
     <<131, 105, 16#ffffffff:32>>, <<131, 105, 16#00ffffff:32, 97>>, <<131, 104, 2, 97, 1>>,
     <<131, 109, 16#ffffffff:32, 1>>, <<131, 109, 2:32, 1>>,
     <<131, 77, 0:32, 1>>, <<131, 77, 1:32, 0, 1>>, <<131, 77, 1:32, 9, 1>>, <<131, 77, 2:32, 3, 1>>,
     <<131, 116, 16#ffffffff:32, 97>>, <<131, 116, 1:32, 97, 1>>,
     %% The same key twice.
     <<131, 116, 2:32, 97, 1, 97, 2, 97, 1, 97, 3>>,
     <<131, 116, 40:32, (<< <<97, I, 97, I>> || I <- lists:seq(1, 39) >>)/binary, 97, 7, 97, 7>>,
     <<131, 108, 3:32, 109, 100:32, (binary:copy(<<1>>, 100))/binary,
       116, 2:32, 97, 1, 97, 2, 97, 1, 97, 3, 97, 1, 106>>,
     <<131, 70, 16#7ff0000000000000:64>>, <<131, 70, 16#fff8000000000000:64>>, <<131, 70, 1, 2>>,
     <<131, 99, "not a number", 0:152>>, <<131, 99, "inf", 0:224>>, <<131, 99, "1.0e400", 0:192>>,
     <<131, 110, 5, 0, 1, 2, 3>>, <<131, 111, 16#ffffffff:32, 0>>, <<131, 111, 100:32, 0, 1>>,
     %% Identifiers.
     <<131, 88, 97, 1, 0:96>>, <<131, 88, 119, 1, $a, 0:64>>, <<131, 103, 119, 1, $a, 0:64, 4>>,
     <<131, 88, 119, 13, "nonode@nohost", 16#ffffffff:32, 0:32, 0:32>>,
     <<131, 90, 6:16, 119, 1, $a, 0:32, 0:192>>, <<131, 90, 3:16, 119, 1, $a, 0:32, 0:64>>,
     <<131, 90, 3:16, 119, 13, "nonode@nohost", 0:32, 16#ffffffff:32, 0:64>>,
     <<131, 101, 119, 1, $a, 16#40000:32, 0>>,
     %% Funs.
     <<131, 113, 119, 1, $a, 119, 1, $b, 98, -1:32>>, <<131, 113, 119, 1, $a, 97, 1, 97, 1>>,
     <<131, 113, 119, 1, $a, 119, 1, $b, 119, 1, $c>>,
     <<131, 112, 0:32, 1, 0:128, 0:32, 16#ffffffff:32, 119, 1, $a, 97, 0, 97, 0>>,
     <<131, 112, 0:32, 1, 0:128, 0:32, 3:32, 119, 1, $a, 97, 0, 97, 0, 88, 119, 1, $a, 0:96>>,
     <<131, 112, 0:32, 1, 0:128, 0:32, 0:32, 119, 1, $a, 119, 1, $b, 97, 0, 88, 119, 1, $a, 0:96>>,
     <<131, 117, 0:32>>, <<131, 80, 5:32>>, <<131, 80, 5:32, 1, 2, 3>>].

%% Every prefix of a term of all kinds is refused.
cut() ->
    X = length([self()]),
    T = [1, 300, 1 bsl 70, 1.5, foo, "string", [a | b], {t, {}}, <<"bin">>, <<1:1>>,
         #{a => 1, b => 2}, fun lists:map/2, fun(Y) -> Y + X end, self(), make_ref(),
         maps:from_list([{I, I} || I <- lists:seq(1, 40)])],
    B = term_to_binary(T),
    ?is([], [N || N <- lists:seq(0, byte_size(B) - 1),
                  decode(binary:part(B, 0, N)) =/= badarg]),
    Z = term_to_binary(lists:duplicate(100, T), [compressed]),
    ?is([], [N || N <- lists:seq(0, byte_size(Z) - 1),
                  decode(binary:part(Z, 0, N)) =/= badarg]).

%% Whatever a changed byte makes of it, it is a term or badarg; and the term
%% can be looked at.
flipped() ->
    T = {1, [a, b | c], #{k => <<"v">>, 2 => 1.5}, 1 bsl 70, "text", self(), make_ref(),
         <<5:3>>, fun lists:map/2},
    B = term_to_binary(T),
    ?is([], [{N, V} || N <- lists:seq(1, byte_size(B) - 1), V <- [0, 1, 2, 16#7f, 16#80, 16#ff],
                       not sound(decode(flip(B, N, V)))]).

flip(B, N, V) ->
    <<H:N/binary, _, R/binary>> = B,
    <<H/binary, V, R/binary>>.

decode(B) ->
    try binary_to_term(B, [safe]) of
        T -> {ok, T}
    catch
        error:badarg -> badarg
    end.

sound(badarg) -> true;
sound({ok, T}) -> is_list(io_lib:format("~p", [T])) andalso T =:= binary_to_term(term_to_binary(T)).
