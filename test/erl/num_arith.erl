%% Integers of any size: + - * div rem, bits, shifts, order; the limits.
-module(num_arith).
-export([main/0, id/1]).
-include("test.hrl").

main() ->
    edges(),
    limits(),
    failures(),
    bits(),
    shifts(),
    order(),
    lists:foreach(fun identities/1, [50, 200, 1000, 4000, 20000]).

%% The edge between small and big, on both sides.
edges() ->
    Max = id((1 bsl 59) - 1),
    Min = id(-(1 bsl 59)),
    ?is(576460752303423488, Max + id(1)),
    ?is(Max, (Max + id(1)) - id(1)),
    ?is(-576460752303423489, Min - id(1)),
    ?is(Min, (Min - id(1)) + id(1)),
    ?is(576460752303423488, -Min),
    ?is(576460752303423488, abs(Min)),
    ?is(Min, -(-Min)),
    ?is(576460752303423488, Min div id(-1)),
    ?is(0, Min rem id(-1)),
    ?is(-576460752303423488, id(576460752303423488) * id(-1)),
    ?is(332306998946228967073030260463239169, Max * Max),
    ?is(332306998946228967649491012766662656, Max * (Max + 1)),
    ?is(0, id(1 bsl 100) - id(1 bsl 100)),
    ?is(0, id(1 bsl 100) * id(0)),
    ?is(1, id(1 bsl 100) div id(1 bsl 100)),
    ?is(0, id(1) div id(1 bsl 100)),
    ?is(-1, id(-1) rem id(1 bsl 100)),
    ?is(0, erts_debug:size(id(1 bsl 70) - id((1 bsl 70) - 1))),
    ?is(18446744073709551615, id(1 bsl 64) - 1),
    ?is(18446744073709551616, id((1 bsl 64) - 1) + 1),
    %% A zero that the instruction itself holds.
    ?raises({error, badarith}, id(1) div 0),
    ?raises({error, badarith}, id(1) rem 0),
    ?is(0, id(7) band 0),
    ?is(7, id(7) + 0),
    ?is(-7, id(-22) div id(3)),
    ?is(-1, id(-22) rem id(3)),
    ?is(1, id(22) rem id(-3)),
    ?is(-7, id(-22 bsl 80) div id(3 bsl 80)),
    ?is(-1 bsl 80, id(-22 bsl 80) rem id(3 bsl 80)).

%% OTP 25 has integers of up to 524287 digits of 64 bits.
limits() ->
    Top = id(1) bsl id(33554367),
    ?is(524288, erts_debug:flat_size(Top)),
    ?is(524288, erts_debug:flat_size(Top + (Top - 1))),
    ?raises({error, system_limit}, Top + Top),
    ?raises({error, system_limit}, bnot (Top + (Top - 1))),
    ?raises({error, system_limit}, Top * id(2)),
    ?raises({error, system_limit}, id(1) bsl id(33554368)),
    ?raises({error, system_limit}, id(1) bsl id(1 bsl 58)),
    ?raises({error, system_limit}, id(1) bsl id(1 bsl 80)),
    ?raises({error, system_limit}, id(-1) bsr id(-1 bsl 80)),
    ?raises({error, system_limit}, id(1 bsl 70) bsl id(1 bsl 63)),
    ?is(0, id(0) bsl id(1 bsl 80)),
    ?is(0, id(0) bsl id(1 bsl 50)),
    ?is(false, try id(1) bsl id(1 bsl 50) catch error:system_limit -> false end).

failures() ->
    [?raises({error, badarith}, erlang:Op(A, B))
     || Op <- ['+', '-', '*', '/', 'div', 'rem', 'band', 'bor', 'bxor', 'bsl', 'bsr'],
        {A, B} <- [{a, 1}, {1, a}, {1 bsl 100, a}, {a, 1 bsl 100}, {[], {}},
                   {1.5, a}, {a, 1.5}]],
    [?raises({error, badarith}, erlang:Op(A, B))
     || Op <- ['div', 'rem', 'band', 'bor', 'bxor', 'bsl', 'bsr'],
        {A, B} <- [{1.0, 1}, {1, 1.0}, {1.0, 1.0}, {1 bsl 100, 2.0}]],
    [?raises({error, badarith}, erlang:Op(A, 0))
     || Op <- ['/', 'div', 'rem'], A <- [0, 1, -1, 1 bsl 100]],
    ?raises({error, badarith}, bnot id(1.0)),
    ?raises({error, badarith}, bnot id(a)),
    ?raises({error, badarith}, - id(a)),
    ?raises({error, badarith}, + id(a)),
    ?raises({error, badarg}, abs(id(a))),
    %% A big that no double can hold.
    Big = id(1 bsl 1024),
    [?raises({error, badarith}, erlang:Op(A, B))
     || Op <- ['+', '-', '*', '/'], {A, B} <- [{1.0, Big}, {Big, 1.0}, {Big, 2}],
        Op =:= '/' orelse is_float(A) orelse is_float(B)],
    ?is(ok, if Big * 1.0 > 0.0 -> wrong; true -> ok end),
    ?is(ok, if 1 div (Big - Big) =:= 1 -> wrong; true -> ok end).

bits() ->
    ?is(-1 bsl 64, id(-1 bsl 64) band id(-1 bsl 64)),
    ?is(-1 bsl 65, id(-1 bsl 64) band id(-1 bsl 65)),
    ?is(-(1 bsl 64), id(-((1 bsl 64) - 1)) band id(-2)),
    ?is(-1, id(-1 bsl 64) bor id((1 bsl 64) - 1)),
    ?is(0, id(1 bsl 64) band id(-1 bsl 65)),
    ?is(1 bsl 64, id(1 bsl 64) band id(-1)),
    ?is(-1, id(1 bsl 100) bxor id(bnot (1 bsl 100))),
    ?is(-(1 bsl 100) - 1, bnot id(1 bsl 100)),
    ?is((1 bsl 100) - 1, bnot id(-(1 bsl 100))),
    ?is(-576460752303423489, bnot id(576460752303423488)),
    ?is(576460752303423487, bnot id(-576460752303423488)),
    ?is(576460752303423488, bnot id(-576460752303423489)),
    ?is(-18446744073709551616, bnot id(18446744073709551615)),
    ?is(18446744073709551615, bnot id(-18446744073709551616)),
    ?is(16#ff, id(16#ff00000000000000000000000000000ff) band id(16#fff)).

shifts() ->
    ?is(1 bsl 59, id(1) bsl id(59)),
    ?is(-(1 bsl 59), id(-1) bsl id(59)),
    ?is(-1152921504606846976, id(-1) bsl id(60)),
    ?is(-1, id(-1) bsr id(1 bsl 80)),
    ?is(-1, id(-1 bsl 200) bsr id(1 bsl 80)),
    ?is(-1, id(-1 bsl 200) bsr id(201)),
    ?is(-1, id(-1 bsl 200) bsr id(200)),
    ?is(-2, id(-1 bsl 200) bsr id(199)),
    ?is(-2, id(-(1 bsl 200) - 1) bsr id(200)),
    ?is(0, id(1 bsl 200) bsr id(201)),
    ?is(0, id(1 bsl 200) bsl id(-1 bsl 80)),
    ?is(-1, id(-5) bsl id(-1 bsl 80)),
    ?is(5, id(5) bsl id(0)),
    ?is(1, id(1 bsl 64) bsr id(64)),
    ?is(-(1 bsl 64), id(-(1 bsl 128)) bsr id(64)),
    ?is(-(1 bsl 64) - 1, id(-(1 bsl 128) - 1) bsr id(64)),
    ?is(1 bsl 128, id(1 bsl 64) bsr id(-64)).

order() ->
    Sorted = [-(1 bsl 200), -(1 bsl 64), -1.8e19, -(1 bsl 63), -576460752303423489,
              -576460752303423488, -9007199254740993, -9007199254740992.0, -1.5, -1,
              0, 0.5, 1, 1.5, 9007199254740992.0, 9007199254740993,
              576460752303423487, 576460752303423488.0, 576460752303423489,
              1 bsl 63, 1.8e19, 1 bsl 64, 1.0e200, 1 bsl 1023, 1 bsl 1025],
    lists:foldl(fun(B, A) ->
                        ?is({A, B, true}, {A, B, id(A) < id(B)}),
                        ?is({A, B, false}, {A, B, id(A) >= id(B)}),
                        ?is({A, B, false}, {A, B, id(A) == id(B)}),
                        ?is({B, A, true}, {B, A, id(B) > id(A)}),
                        B
                end, hd(Sorted), tl(Sorted)),
    ?is(Sorted, lists:sort(lists:reverse(Sorted))),
    ?is(true, id(1 bsl 70) == id(float(1 bsl 70))),
    ?is(false, id(1 bsl 70) =:= id(float(1 bsl 70))),
    ?is(true, id(float(1 bsl 70)) == id(1 bsl 70)),
    ?is(true, id((1 bsl 70) + 1) > id(float(1 bsl 70))),
    ?is(true, id((1 bsl 70) - 1) < id(float(1 bsl 70))),
    ?is(true, id(float(-(1 bsl 70))) < id(-(1 bsl 70) + 1)),
    ?is(true, id(576460752303423488) == id(576460752303423488.0)),
    ?is(true, id(0) == id(-0.0)),
    ?is(true, id(1 bsl 70) =:= id((1 bsl 71) div id(2))).

%% What must hold of any two integers, over sizes where the methods change.
identities(Bits) ->
    Seed = rand:seed_s(exsss, Bits),
    identities(200000 div Bits + 3, Bits, Seed).

identities(0, _, _) ->
    ok;
identities(N, Bits, S0) ->
    {A, S1} = random(Bits, S0),
    {B, S2} = random(Bits, S1),
    {C, S3} = random(Bits div 2 + 1, S2),
    P = A * B,
    ?is(true, P =:= B * A),
    ?is(true, (A + C) * (A - C) =:= A * A - C * C),
    ?is(true, (A + B) - B =:= A),
    [begin
         Q = X div Y,
         R = X rem Y,
         ?is(true, Q * Y + R =:= X),
         ?is(true, abs(R) < abs(Y)),
         ?is(true, R =:= 0 orelse (R < 0) =:= (X < 0))
     end || {X, Y} <- [{A, B}, {A, C}, {P + C, B}, {P, A}, {P + C, A}], Y =/= 0],
    ?is(true, A + B =:= (A bxor B) + 2 * (A band B)),
    ?is(true, (A bor B) =:= (A bxor B) + (A band B)),
    ?is(true, (bnot A) =:= -A - 1),
    ?is(true, (bnot (A band B)) =:= ((bnot A) bor (bnot B))),
    K = N * 7 rem 300,
    ?is(true, (A bsl K) =:= A * (1 bsl K)),
    ?is(true, ((A bsl K) + C band ((1 bsl K) - 1)) bsr K =:= A),
    ?is(true, A bsr K =:= (A - (A band ((1 bsl K) - 1))) div (1 bsl K)),
    ?is(true, list_to_integer(integer_to_list(A)) =:= A),
    ?is(true, list_to_integer(integer_to_list(A, 7), 7) =:= A),
    ?is(true, binary_to_integer(integer_to_binary(B, 32), 32) =:= B),
    ?is(true, binary_to_term(term_to_binary(A)) =:= A),
    identities(N - 1, Bits, S3).

%% Long runs of ones and zeros, where carries are.
random(Bits, S0) ->
    {N, S1} = rand:uniform_s(Bits, S0),
    {V, S2} = runs(N, 0, S1),
    {Sign, S3} = rand:uniform_s(2, S2),
    {case Sign of 1 -> V; 2 -> -V end, S3}.

runs(N, V, S) when N =< 0 ->
    {V, S};
runs(N, V, S0) ->
    {K, S1} = rand:uniform_s(100, S0),
    {How, S2} = rand:uniform_s(3, S1),
    {W, S3} = case How of
                  1 -> {0, S2};
                  2 -> {(1 bsl K) - 1, S2};
                  3 -> {X, S} = rand:uniform_s(1 bsl K, S2), {X - 1, S}
              end,
    runs(N - K, (V bsl K) bor W, S3).

%% Exported, so that the compiler knows nothing of its argument.
id(X) -> X.
