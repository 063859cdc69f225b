%% Floats: arithmetic, conversion to integers and text, the module math.
-module(num_float).
-export([main/0, id/1]).
-include("test.hrl").

main() ->
    arith(),
    whole(),
    short(),
    formats(),
    parse(),
    zeros(),
    pairs(),
    math().

%% Negated in a float register 0.0 stays positive, as in OTP's native code; a term
%% that is negated does not.
zeros() ->
    ?is(<<0:64>>, begin F = -(id(0.0) * 1.0), <<F/float>> end),
    ?is(<<1:1, 0:63>>, begin F = -id(0.0), <<F/float>> end),
    ?is(<<0:64>>, begin F = -id(-0.0), <<F/float>> end).

arith() ->
    ?is(3.5, id(1) + id(2.5)),
    ?is(3.5, id(2.5) + id(1)),
    ?is(0.5, id(1) / id(2)),
    ?is(2.0, id(4) / id(2)),
    ?is(-0.0, id(0) * id(-1.0)),
    ?is(true, <<(-id(0.0)):64/float>> =:= <<16#8000000000000000:64>>),
    ?is(1.2676506002282294e30, id(1 bsl 100) * id(1.0)),
    ?is(1.0, id(1 bsl 100) / id(1 bsl 100)),
    ?is(1.5, abs(id(-1.5))),
    ?raises({error, badarith}, id(1.0e308) * id(10)),
    ?raises({error, badarith}, id(1.0e308) + id(1.0e308)),
    ?raises({error, badarith}, id(1) / id(0)),
    ?raises({error, badarith}, id(1.0) / id(0.0)),
    ?raises({error, badarith}, id(0.0) / id(0)),
    ?is(0.0, id(1.0e-308) * id(1.0e-308)),
    ?is(1.0, float(id(1))),
    ?is(1.8446744073709552e19, float(id(1 bsl 64))),
    ?is(9007199254740992.0, float(id(9007199254740993))),
    ?raises({error, badarg}, float(id(1 bsl 1024))),
    ?raises({error, badarg}, float(id(a))),
    ?is(1.7976931348623157e308, float(id((1 bsl 1024) - (1 bsl 971)))).

whole() ->
    ?is({1, 2, 1, 2}, {trunc(id(1.5)), round(id(1.5)), floor(id(1.5)), ceil(id(1.5))}),
    ?is({-1, -2, -2, -1},
        {trunc(id(-1.5)), round(id(-1.5)), floor(id(-1.5)), ceil(id(-1.5))}),
    ?is({0, 1, 0, 1}, {trunc(id(0.5)), round(id(0.5)), floor(id(0.5)), ceil(id(0.5))}),
    ?is(0, round(id(0.49999999999999994))),
    ?is(0, trunc(id(-0.9))),
    ?is(7, trunc(id(7))),
    ?is(1 bsl 100, round(id(1 bsl 100))),
    ?is(576460752303423488, trunc(id(576460752303423488.0))),
    ?is(576460752303423424, trunc(id(576460752303423424.0))),
    ?is(-576460752303423616, trunc(id(-576460752303423616.0))),
    ?is(1 bsl 1023, trunc(id(float(1 bsl 1023)))),
    ?is(-(1 bsl 64), round(id(-18446744073709551616.0))),
    ?is((1 bsl 1024) - (1 bsl 971), trunc(id(1.7976931348623157e308))),
    ?is(99999999999999997748809823456034029568, trunc(id(1.0e38))),
    [?raises({error, badarg}, F(id(a)))
     || F <- [fun erlang:trunc/1, fun erlang:round/1, fun erlang:floor/1,
              fun erlang:ceil/1]].

%% The shortest text, and where an exponent is written.
short() ->
    [?is(T, float_to_list(F, [short]))
     || {T, F} <- [{"0.0", 0.0}, {"-0.0", -0.0}, {"1.0", 1.0}, {"0.1", 0.1},
                   {"0.30000000000000004", 0.1 + 0.2}, {"1.0e22", 1.0e22},
                   {"1.0e21", 1.0e21}, {"1.0e20", 1.0e20}, {"1.0e16", 1.0e16},
                   {"1.2345678901234568e17", 123456789012345678.0},
                   {"9007199254740991.0", 9007199254740991.0},
                   {"9.007199254740992e15", 9007199254740992.0},
                   {"9.007199254740994e15", 9007199254740994.0},
                   {"0.001", 0.001}, {"0.0001", 0.0001}, {"1.0e-5", 0.00001},
                   {"1.234e-5", 0.00001234}, {"5.0e-324", 5.0e-324},
                   {"2.2250738585072014e-308", 2.2250738585072014e-308},
                   {"1.7976931348623157e308", 1.7976931348623157e308},
                   {"-1.5e300", -1.5e300}, {"123456.789", 123456.789}]],
    ?is(<<"0.1">>, float_to_binary(0.1, [short])),
    %% Read back, all of them.
    each(fun(F) -> ?is(F, list_to_float(float_to_list(F, [short]))) end).

formats() ->
    ?is("1.00000000000000000000e+00", float_to_list(1.0)),
    ?is("1.00000000000000005551e-01", float_to_list(0.1)),
    ?is(<<"-1.50000000000000007876e+300">>, float_to_binary(-1.5e300)),
    ?is("1.000e-01", float_to_list(0.1, [{scientific, 3}])),
    ?is("1e+00", float_to_list(1.0, [{scientific, 0}])),
    ?is("0.10", float_to_list(0.1, [{decimals, 2}])),
    ?is("0.1", float_to_list(0.1, [{decimals, 2}, compact])),
    ?is("1.0", float_to_list(1.0, [compact, {decimals, 10}])),
    ?is("7.0", float_to_list(7.0, [{decimals, 10}, compact])),
    ?is("2", float_to_list(1.5, [{decimals, 0}])),
    ?is("3", float_to_list(2.5, [{decimals, 0}])),
    ?is("-0", float_to_list(-0.1, [{decimals, 0}])),
    ?is("10", float_to_list(10.0, [{decimals, 0}, compact])),
    ?is("-0.00", float_to_list(-0.0, [{decimals, 2}])),
    ?is("1.00", float_to_list(1.005, [{decimals, 2}])),
    ?is("2.00", float_to_list(1.999, [{decimals, 2}])),
    ?is("0.28", float_to_list(0.285, [{decimals, 2}])),
    ?is("1.00000000000000000000", float_to_list(1.0, [{decimals, 20}])),
    ?is("0.1000000000000000055511151231257827", float_to_list(0.1, [{decimals, 34}])),
    ?is("10000000000000000.00", float_to_list(1.0e16, [{decimals, 2}])),
    ?is("10000000000000000.0", float_to_list(1.0e16, [{decimals, 2}, compact])),
    ?is("9007199254740992", float_to_list(9007199254740992.0, [{decimals, 0}])),
    ?is(253 + 2, length(float_to_list(1.0, [{decimals, 253}]))),
    ?raises({error, badarg}, float_to_list(1.0, [{decimals, 254}])),
    ?raises({error, badarg}, float_to_list(1.0, [{decimals, -1}])),
    ?raises({error, badarg}, float_to_list(1.0, [{decimals, a}])),
    ?raises({error, badarg}, float_to_list(1.0e300, [{decimals, 0}])),
    ?is(256 - 1, length(float_to_list(1.0, [{scientific, 249}]))),
    ?raises({error, badarg}, float_to_list(1.0, [{scientific, 250}])),
    ?raises({error, badarg}, float_to_list(1.0, [foo])),
    ?raises({error, badarg}, float_to_list(1.0, foo)),
    ?raises({error, badarg}, float_to_list(1.0, [compact | foo])),
    ?raises({error, badarg}, float_to_list(1, [compact])),
    ?raises({error, badarg}, float_to_list(id(1))),
    ?raises({error, badarg}, float_to_binary(id(1))),
    ?is("1.00000000000000000000e+00", float_to_list(1.0, [compact])),
    ?is("1.0", float_to_list(1.0, [{decimals, 3}, short])),
    ?is("1.000", float_to_list(1.0, [short, {decimals, 3}])),
    %% Sums of the texts of many floats, from stock.
    Sum = fun(Options) ->
                  erlang:crc32([[text(F, Options), $\n] || F <- floats()])
          end,
    ?is(128674015, Sum([short])),
    ?is(4001489401, Sum([])),
    ?is(301530581, Sum([{decimals, 4}])),
    ?is(512839597, Sum([{decimals, 17}, compact])),
    ?is(3034293192, Sum([{scientific, 7}])).

text(F, Options) ->
    try float_to_binary(F, Options) catch error:badarg -> <<"badarg">> end.

parse() ->
    ?is(1.5, list_to_float("1.5")),
    ?is(1.5, list_to_float("+1.5")),
    ?is(-1.5e10, list_to_float("-1.5E+10")),
    ?is(1.5, list_to_float("1,5")),
    ?is(1.5, binary_to_float(<<"1.5">>)),
    ?is(0.1, binary_to_float(<<"0.1000000000000000055511151231257827021181583404541015625">>)),
    ?is(0.0, list_to_float("1.0e-999")),
    ?is(5.0e-324, list_to_float("5.0e-324")),
    ?is(1.0, list_to_float("1." ++ lists:duplicate(1000, $0))),
    [begin
         ?raises({error, badarg}, list_to_float(S)),
         ?raises({error, badarg}, binary_to_float(list_to_binary(S)))
     end || S <- ["", "1", "1.", ".5", "1e5", "1.5e", "1.5e+", "1.5x", " 1.5", "1.5 ",
                  "--1.5", "+-1.5", "1.0e309", "-1.0e999", "1.5.5", "inf", "nan",
                  "0x1.8p1"]],
    [?raises({error, badarg}, list_to_float(id(X)))
     || X <- [a, [a], "1.5" ++ a, [$1, $., 305], 1.5]],
    ?raises({error, badarg}, binary_to_float(id(a))),
    ?raises({error, badarg}, binary_to_float(id(<<"1.5", 1:1>>))),
    [?is(R, string:to_float(S))
     || {S, R} <- [{"1.5", {1.5, ""}}, {"1.5abc", {1.5, "abc"}}, {"1.5e", {1.5, "e"}},
                   {"1.5e+x", {1.5, "e+x"}}, {"1.5e3x", {1500.0, "x"}},
                   {"1.5.3", {1.5, ".3"}}, {"1.5e2e2", {150.0, "e2"}},
                   {"", {error, no_float}}, {"x", {error, no_float}},
                   {"1", {error, no_float}}, {"1.", {error, no_float}},
                   {"1.e5", {error, no_float}}, {".5", {error, no_float}},
                   {"+", {error, no_float}}, {"-", {error, no_float}},
                   {"+1.5", {1.5, ""}}, {"-1.5-", {-1.5, "-"}},
                   {"12.-", {error, no_float}}, {"1.0e999", {error, no_float}}]],
    ?is({1.5, [foo]}, string:list_to_float([$1, $., $5, foo])),
    ?is({1.5, foo}, string:list_to_float("1.5" ++ foo)),
    ?is({error, not_a_list}, string:list_to_float(foo)),
    %% A sub-binary that does not begin at a byte.
    <<_:3, B:3/binary, _:5>> = id(<<0:3, "2.5", 0:5>>),
    ?is(2.5, binary_to_float(B)).

math() ->
    [?is(true, is_float(F(0.5)))
     || F <- [fun math:sin/1, fun math:cos/1, fun math:tan/1, fun math:asin/1,
              fun math:acos/1, fun math:atan/1, fun math:sinh/1, fun math:cosh/1,
              fun math:tanh/1, fun math:asinh/1, fun math:atanh/1, fun math:exp/1,
              fun math:log/1, fun math:log2/1, fun math:log10/1, fun math:sqrt/1,
              fun math:erf/1, fun math:erfc/1, fun math:floor/1, fun math:ceil/1]],
    ?is(2.0, math:sqrt(id(4))),
    ?is(1.0e15, math:sqrt(id(1000000000000000000000000000000))),
    ?is(1024.0, math:pow(id(2), id(10))),
    ?is(10.0, math:log2(id(1024))),
    ?is(3.0, math:log10(id(1000))),
    ?is(0.0, math:acosh(id(1))),
    ?is(1.5, math:fmod(id(5.5), id(2))),
    ?is(-1.5, math:fmod(id(-5.5), id(2))),
    ?is(0.7853981633974483, math:atan2(id(1), id(1))),
    ?is(3.141592653589793, math:pi()),
    ?is(-2.0, math:floor(id(-1.5))),
    ?is(-1.0, math:ceil(id(-1.5))),
    ?is(0.0, math:exp(id(-1.0e9))),
    [?raises({error, badarith}, F())
     || F <- [fun() -> math:sqrt(id(-1)) end, fun() -> math:log(id(0)) end,
              fun() -> math:log(id(-1)) end, fun() -> math:acos(id(2)) end,
              fun() -> math:asin(id(-2)) end, fun() -> math:exp(id(1000)) end,
              fun() -> math:pow(id(0), id(-1)) end, fun() -> math:fmod(id(1), id(0)) end,
              fun() -> math:pow(id(-1), id(0.5)) end, fun() -> math:acosh(id(0)) end,
              fun() -> math:atanh(id(1)) end, fun() -> math:sqrt(id(1 bsl 1024)) end,
              fun() -> math:pow(id(1), id(1 bsl 1024)) end]],
    [?raises({error, badarg}, F())
     || F <- [fun() -> math:sqrt(id(a)) end, fun() -> math:pow(id(1), id(a)) end,
              fun() -> math:pow(id(a), id(1)) end, fun() -> math:floor(id(a)) end]].

%% Doubles of every size: bit patterns from a simple generator.
floats() ->
    floats(2000, 16#9e3779b97f4a7c15, []).

floats(0, _, Acc) ->
    Acc;
floats(N, X0, Acc) ->
    X = (X0 * 6364136223846793005 + 1442695040888963407) band 16#ffffffffffffffff,
    F = case {<<X:64>>, N rem 3} of
            {<<F1:64/float>>, 0} -> F1;
            {<<_:64/float>>, 1} -> (X bsr 20) / 1000;
            {<<_:64/float>>, 2} -> (X bsr 40) / (1 bsl (N rem 60));
            _ -> N / 8
        end,
    floats(N - 1, X, [F | Acc]).

each(F) ->
    lists:foreach(F, floats()).

%% Exported, so that the compiler knows nothing of its argument.
id(X) -> X.

%% Two operations of which the second takes the result of the first.
pairs() ->
    Op = fun(F, A, B) -> apply(erlang, F, [A, B]) end,
    [begin
         P = Op('*', A, B), S = Op('+', A, B), D = Op('-', A, B),
         ?is([Op('+', P, C), Op('-', P, C), Op('-', C, P), Op('*', P, C), Op('/', C, P),
              Op('/', P, C), Op('+', S, C), Op('-', S, C), Op('-', C, S), Op('*', S, C),
              Op('/', C, S), Op('+', D, C), Op('-', D, C), Op('-', C, D), Op('*', D, C),
              Op('/', C, D), Op('+', P, P), Op('*', C, Op('+', P, S))],
             pairs(A, B, C))
     end || A <- [1.5, -2.25, 3.0e10], B <- [0.3, 7.0, -1.0e-5], C <- [0.1, 1.0e5, -4.5]],
    [?raises({error, badarith}, F(1.0e200, 1.0e200, C))
     || C <- [1.0, 0.0, 1.0e300, -1.0e300],
        F <- [fun mul_add/3, fun mul_rsub/3, fun mul_rdiv/3]],
    ?raises({error, badarith}, mul_rdiv(0.0, 1.0, 1.0)),
    ?raises({error, badarith}, mul_add(1.0e308, 1.0, 1.0e308)),
    ?is(0.0, mul_rdiv(1.0, 1.0e300, 0.0)).

pairs(A, B, C) when is_float(A), is_float(B), is_float(C) ->
    [A * B + C, A * B - C, C - A * B, A * B * C, C / (A * B), A * B / C,
     A + B + C, A + B - C, C - (A + B), (A + B) * C, C / (A + B),
     A - B + C, A - B - C, C - (A - B), (A - B) * C, C / (A - B),
     A * B + A * B, C * (A * B + (A + B))].
mul_add(A, B, C) when is_float(A), is_float(B), is_float(C) -> A * B + C.
mul_rsub(A, B, C) when is_float(A), is_float(B), is_float(C) -> C - A * B.
mul_rdiv(A, B, C) when is_float(A), is_float(B), is_float(C) -> C / (A * B).
