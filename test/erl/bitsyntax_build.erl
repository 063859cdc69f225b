%% Construction: values of every kind and alignment, appending, errors.
-module(bitsyntax_build).
-export([main/0]).
-include("test.hrl").

main() ->
    integers(),
    floats(),
    binaries(),
    appending(),
    shared_append(),
    errors(),
    causes(),
    more().

id(X) -> X.

integers() ->
    ?is(<<1, 2, 3>>, <<(id(1)), (id(2)), (id(3))>>),
    ?is(<<255, 254, 44>>, <<(id(-1)), (id(-2)), (id(300))>>),
    ?is(<<16#12, 16#34>>, <<(id(16#1234)):16>>),
    ?is(<<16#34, 16#12>>, <<(id(16#1234)):16/little>>),
    ?is(<<16#34, 2:4>>, <<(id(16#1234)):12/little>>),
    ?is(<<2:3, 5:3, 77:10>>, <<(id(2)):3, (id(5)):3, (id(77)):10>>),
    Big = id(16#0123456789abcdef0123456789abcdef),
    ?is(<<16#0123456789abcdef:64, 16#0123456789abcdef:64>>, <<Big:128>>),
    ?is(<<16#89abcdef:32>>, <<Big:32>>),
    ?is(<<0:72, 16#0123456789abcdef0123456789abcdef:128>>, <<Big:200>>),
    ?is(<<16#efcdab8967452301:64, 16#efcdab8967452301:64, 0:72>>, <<Big:200/little>>),
    ?is(<<-1:72, (bnot Big):128>>, <<(-Big - 1):200>>),
    Neg = id(-(1 bsl 64)),
    ?is(<<255, 255, 0:64>>, <<Neg:80>>),
    ?is(<<0:64, 255, 255>>, <<Neg:80/little>>),
    ?is(<<255, 0:128>>, <<(id(-(1 bsl 128))):136>>),
    ?is(<<0:3, Big:128, 0:5>>, <<(Big bsl 5):136>>),
    ?is(<<-5:100>>, <<(id(-5)):100>>),
    ?is(<<>>, <<(id(77)):(id(0))>>),
    %% Neighbours stay as they are.
    ?is(<<2#10100111>>, <<(id(1)):1, (id(0)):1, (id(1)):1, (id(0)):2, (id(7)):3>>).

floats() ->
    ?is(<<63, 248, 0, 0, 0, 0, 0, 0>>, <<(id(1.5))/float>>),
    ?is(<<0, 0, 0, 0, 0, 0, 248, 63>>, <<(id(1.5))/float-little>>),
    ?is(<<63, 192, 0, 0>>, <<(id(1.5)):32/float>>),
    ?is(<<16#3e00:16>>, <<(id(1.5)):16/float>>),
    ?is(<<64, 0, 0, 0, 0, 0, 0, 0>>, <<(id(2))/float>>),
    ?is(<<(float(1 bsl 70)):64/float>>, <<(id(1 bsl 70))/float>>),
    ?is(<<127, 128, 0, 0>>, <<(id(1.0e300)):32/float>>),
    ?is(<<124, 0>>, <<(id(1.0e300)):16/float>>),
    ?is(<<0, 1>>, <<(id(5.960464477539063e-8)):16/float>>),
    ?is(<<0, 0>>, <<(id(1.0e-30)):16/float>>),
    ?is(<<16#3555:16>>, <<(id(1/3)):16/float>>),
    ?is(<<16#7bff:16>>, <<(id(65519.0)):16/float>>),
    ?is(<<16#7c00:16>>, <<(id(65520.0)):16/float>>),
    ?is(<<1:3, 16#3ff8:16, 0:48, 1:5>>, <<1:3, (id(1.5))/float, 1:5>>).

binaries() ->
    B = id(<<"hello, world">>),
    Bits = id(<<1:1, 0:1, 1:1>>),
    ?is(<<"hello">>, <<B:5/binary>>),
    ?is(<<1, "hello, world", 2>>, <<1, B/binary, 2>>),
    ?is(<<5:3, 104, 5:3>>, <<Bits/bits, B:1/binary, Bits/bits>>),
    ?is(<<2:2>>, <<Bits:2/bits>>),
    ?is(<<$a/utf8, 16#20ac/utf8>>, <<(id($a))/utf8, (id(16#20ac))/utf8>>),
    ?is(<<226, 130, 172, 240, 144, 128, 128>>, <<(id(16#20ac))/utf8, (id(16#10000))/utf8>>),
    ?is(<<216, 0, 220, 0, 32, 172>>, <<(id(16#10000))/utf16, (id(16#20ac))/utf16>>),
    ?is(<<0, 216, 0, 220>>, <<(id(16#10000))/utf16-little>>),
    ?is(<<0, 1, 0, 0, 0, 0, 1, 0>>, <<(id(16#10000))/utf32, (id(16#10000))/utf32-little>>),
    Long = binary:copy(B, 100),
    ?is(1200 * 8 + 3, bit_size(<<Bits/bits, Long/binary>>)),
    <<_:3, Back/binary>> = <<Bits/bits, Long/binary>>,
    ?is(Long, Back).

appending() ->
    B = lists:foldl(fun(I, A) -> <<A/binary, I:32>> end, <<>>, lists:seq(1, 50000)),
    ?is(200000, byte_size(B)),
    ?is(lists:seq(1, 50000), [I || <<I:32>> <= B]),
    C = lists:foldl(fun(I, A) -> <<A/bits, I:7>> end, <<>>, lists:seq(1, 5000)),
    ?is([I band 127 || I <- lists:seq(1, 5000)], [I || <<I:7>> <= C]),
    D = << <<I:11>> || I <- lists:seq(1, 5000) >>,
    ?is([I band 2047 || I <- lists:seq(1, 5000)], [I || <<I:11>> <= D]).

%% Two that grow from the same beginning do not see each other.
shared_append() ->
    A = id(<<(id(<<>>))/binary, "beginning">>),
    B = <<A/binary, "one">>,
    C = <<A/binary, "two">>,
    ?is({<<"beginning">>, <<"beginningone">>, <<"beginningtwo">>}, {A, B, C}),
    D = <<B/binary, 1:3>>,
    E = <<D/bits, 2:2>>,
    F = <<D/bits, 1:2>>,
    ?is({<<"beginningone", 1:3, 2:2>>, <<"beginningone", 1:3, 1:2>>}, {E, F}),
    Self = self(),
    G = lists:foldl(fun(I, X) -> <<X/binary, I>> end, <<>>, lists:seq(1, 100)),
    Pid = spawn(fun() ->
                        receive X -> Self ! {grown, <<X/binary, "theirs">>} end
                end),
    Pid ! G,
    H = <<G/binary, "mine">>,
    I = receive {grown, Y} -> Y end,
    ?is(<<G/binary, "mine">>, H),
    ?is(<<G/binary, "theirs">>, I),
    %% Growing while it is being matched.
    <<_:10/binary, Rest/binary>> = G,
    J = <<G/binary, (binary:copy(<<7>>, 1000))/binary>>,
    erlang:garbage_collect(),
    ?is(lists:seq(11, 100), binary_to_list(Rest)),
    ?is(1100, byte_size(J)).

errors() ->
    ?raises({error, badarg}, <<(id(a))>>),
    ?raises({error, badarg}, <<(id(1.0))>>),
    ?raises({error, badarg}, <<(id(1)):(id(-1))>>),
    ?raises({error, badarg}, <<(id(1)):(id(a))>>),
    ?raises({error, badarg}, <<(id(a))/binary>>),
    ?raises({error, badarg}, <<(id(<<1:1>>))/binary>>),
    ?raises({error, badarg}, <<1, (id(<<1:1>>))/binary>>),
    ?raises({error, badarg}, <<(id(<<1>>)):(id(2))/binary>>),
    ?raises({error, badarg}, <<(id(16#d800))/utf8>>),
    ?raises({error, badarg}, <<(id(16#110000))/utf16>>),
    ?raises({error, badarg}, <<(id(-1))/utf32>>),
    ?raises({error, badarg}, <<(id(1 bsl 70))/utf8>>),
    ?raises({error, badarg}, <<(id(x))/float>>),
    ?raises({error, badarg}, <<(id(1.0)):(id(17))/float>>),
    ?raises({error, badarg}, <<(id(1 bsl 2000))/float>>),
    ?raises({error, system_limit}, <<(id(1)):(id(1 bsl 70))>>),
    ?raises({error, system_limit}, <<(id(1)):(id(1 bsl 62))>>).

%% What erl_erts_errors makes its text of.
causes() ->
    ?is({1, integer, type, a}, cause(fun() -> <<(id(a)):8>> end)),
    ?is({2, binary, type, b}, cause(fun() -> <<(id(a)):(id(3)), (id(b))/binary>> end)),
    ?is({1, integer, size, -1}, cause(fun() -> <<(id(1)):(id(-1))>> end)),
    ?is({2, binary, unit, <<1:1>>}, cause(fun() -> <<1, (id(<<1:1>>))/binary>> end)),
    ?is({1, binary, unit, <<1:1>>}, cause(fun() -> <<(id(<<1:1>>))/binary, 1>> end)),
    ?is({1, binary, short, <<1>>}, cause(fun() -> <<(id(<<1>>)):(id(3))/binary>> end)),
    ?is({1, float, invalid, 17}, cause(fun() -> <<(id(1)):(id(17))/float>> end)),
    ?is({1, float, no_float, 1 bsl 2000}, cause(fun() -> <<(id(1 bsl 2000))/float>> end)),
    ?is({1, float, type, x}, cause(fun() -> <<(id(x))/float>> end)),
    ?is({1, utf8, type, -1}, cause(fun() -> <<(id(-1))/utf8>> end)),
    ?is({1, utf32, type, x}, cause(fun() -> <<(id(x))/utf32>> end)),
    ?is({1, integer, size, 1 bsl 62}, cause(fun() -> <<(id(1)):(id(1 bsl 62))>> end)).

cause(F) ->
    try F() of
        V -> {value, V}
    catch
        error:_:Trace ->
            [{_, _, _, Info} | _] = Trace,
            #{cause := C, function := format_bs_fail, module := erl_erts_errors} =
                proplists:get_value(error_info, Info),
            C
    end.

%% Constant numbers of whole bytes at the end of something: the short way, and
%% every reason why it can't be taken.
more() ->
    Values = [{1, 2, 3}, {-1, -2, -3}, {0, 255, 16#123456}, {1 bsl 59, -(1 bsl 59), 7},
              {1 bsl 70, 1, 2}, {1, 2, -(1 bsl 70)}],
    [begin
         P = <<(id(<<>>))/bits, A, B:16, C:24, "str", A:64, B:3, C:30, A:7, B:4, C:4>>,
         Q = many(100, <<>>, A, B, C),
         ?is(100 * byte_size(P), byte_size(Q)),
         ?is(Q, binary:copy(P, 100)),
         ?is(P, binary:part(Q, 99 * byte_size(P), byte_size(P))),
         ?is(<<P/bits, 1:4>>, <<(id(P))/bits, 1:4>>),
         %% Two continue the same binary.
         Q1 = one(Q, A, B, C), Q2 = one(Q, C, B, A),
         ?is(P, binary:part(Q1, byte_size(Q), byte_size(P))),
         ?is(true, A =:= C orelse Q1 =/= Q2),
         ?is(Q, binary:part(Q2, 0, byte_size(Q)))
     end || {A, B, C} <- Values],
    ?is(<<1:1, 2, 3:16>>, <<(id(<<1:1>>))/bits, (id(2)), (id(3)):16>>),
    ?is(<<"abcdefgh", 1>>, <<(id(<<"abcdefgh">>))/binary, 1>>),
    G = many(3, <<>>, 1, 2, 3),
    [?is({Pos, integer, type, X},
         cause(fun() -> <<(id(G))/binary, (id(V1)), (id(V2)):16, (id(V3)):4, (id(V4)):4>> end))
     || {Pos, X, V1, V2, V3, V4} <- [{2, x, x, 1, 1, 1}, {3, 1.0, 1, 1.0, 1, 1},
                                     {4, [], 1, 1, [], 1}, {5, {}, 1, 1, 1, {}}]],
    ?is({1, binary, type, x}, cause(fun() -> <<(id(x))/binary, 1:8, 2:16>> end)),
    ?is({1, binary, unit, <<1:1>>}, cause(fun() -> <<(id(<<1:1>>))/binary, 1:8, 2:16>> end)),
    ?raises({error, badarg}, <<(id(G))/binary, (id(a)):0, 1>>),
    ?is(<<G/binary, 1>>, <<(id(G))/binary, (id(7)):0, 1>>),
    %% A failure leaves what was there as it was.
    ?raises({error, badarg}, <<(id(G))/binary, 1, 2, (id(a))>>),
    ?is(<<G/binary, 4>>, <<(id(G))/binary, (id(4))>>),
    ?is(<< <<(X bxor 1), X:16, 1:3, X:5>> || <<X>> <= G >>,
        iolist_to_binary([<<(X bxor 1), X:16, 1:3, X:5>> || <<X>> <= G])),
    ?raises({error, badarg}, << <<(id(a)), X>> || <<X>> <= G >>).

many(0, Acc, _, _, _) -> Acc;
many(N, Acc, A, B, C) -> many(N - 1, one(Acc, A, B, C), A, B, C).
one(Acc, A, B, C) -> <<Acc/bits, A, B:16, C:24, "str", A:64, B:3, C:30, A:7, B:4, C:4>>.
