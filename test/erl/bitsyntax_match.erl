%% Matching: integers, floats, binaries, code points at every alignment.
-module(bitsyntax_match).
-export([main/0]).
-include("test.hrl").

main() ->
    integers(),
    wide(),
    floats(),
    parts(),
    code_points(),
    sizes(),
    loops().

%% What keeps the compiler from doing the work.
id(X) -> X.

integers() ->
    B = id(<<16#12, 16#34, 16#56, 16#78, 16#9a>>),
    <<A1:3, A2:7, A3:9, A4:21>> = B,
    ?is({0, 72, 418, 1472666}, {A1, A2, A3, A4}),
    <<L1:12/little, L2:28/little>> = B,
    ?is({786, 176777029}, {L1, L2}),
    <<S1:4/signed, S2:12/signed, _/bits>> = id(<<16#f8, 16#01, 0>>),
    ?is({-1, -2047}, {S1, S2}),
    <<S3:16/signed-little, S4:8/signed>> = id(<<1, 16#80, 16#80>>),
    ?is({-32767, -128}, {S3, S4}),
    <<N:32/native>> = id(<<1:32/native>>),
    ?is(1, N),
    %% The edges of smalls and of one digit.
    [begin
         <<X:W/signed>> = id(<<V:W>>),
         ?is(V, X),
         <<Y:W/signed-little>> = id(<<V:W/little>>),
         ?is(V, Y)
     end || W <- [57, 58, 59, 60, 61, 63, 64, 65, 127, 128, 129],
            V <- [-1, 0, 1, 1 bsl (W - 1) - 1, -(1 bsl (W - 1)),
                  -(1 bsl (W - 2)) - 1]],
    [begin
         <<X:W>> = id(<<V:W>>),
         ?is(V, X),
         <<Y:W/little>> = id(<<V:W/little>>),
         ?is(V, Y)
     end || W <- [57, 58, 59, 60, 61, 63, 64, 65, 127, 128, 129],
            V <- [0, 1, 1 bsl W - 1, 1 bsl (W - 1)]].

%% Any width at any offset, both orders, against arithmetic.
wide() ->
    V = 16#fedcba98765432100123456789abcdef0f1e2d3c4b5a69788796a5b4c3d2e1f,
    [begin
         B = id(<<0:Off, (V bsr 3):W, 5:3>>),
         <<_:Off, X:W, 5:3>> = B,
         ?is((V bsr 3) band (1 bsl W - 1), X),
         L = id(<<0:Off, (V bsr 3):W/little, 5:3>>),
         <<_:Off, Y:W/little, 5:3>> = L,
         ?is((V bsr 3) band (1 bsl W - 1), Y)
     end || Off <- [0, 1, 3, 7, 8, 61], W <- [0, 1, 5, 8, 13, 59, 60, 64, 65, 200]],
    ?is(nomatch, case id(<<1, 2>>) of <<X:17>> -> X; _ -> nomatch end),
    <<Zero:200>> = id(<<7:200>>),
    ?is(7, Zero),
    <<Neg:200/signed>> = id(<<-7:200>>),
    ?is(-7, Neg).

floats() ->
    <<F1:64/float, F2:32/float, F3:16/float>> =
        id(<<1.5:64/float, -0.375:32/float, 65504.0:16/float>>),
    ?is({1.5, -0.375, 65504.0}, {F1, F2, F3}),
    <<_:3, G:64/float-little, _/bits>> = id(<<0:3, 1.0e-300:64/float-little, 0:5>>),
    ?is(1.0e-300, G),
    <<Sub:16/float>> = id(<<0, 1>>),
    ?is(5.960464477539063e-8, Sub),
    %% What is no number does not match.
    Kind = fun(B) ->
                   case B of
                       <<_:64/float>> -> f64;
                       <<_:32/float>> -> f32;
                       <<_:16/float>> -> f16;
                       _ -> none
                   end
           end,
    ?is(none, Kind(id(<<16#7ff0000000000000:64>>))),
    ?is(none, Kind(id(<<16#7fc00000:32>>))),
    ?is(none, Kind(id(<<16#7c00:16>>))),
    ?is(f16, Kind(id(<<16#7bff:16>>))),
    ?is(none, Kind(id(<<1, 2, 3>>))).

parts() ->
    Big = id(binary:copy(<<"0123456789">>, 20)),
    <<P1:3/binary, P2:100/binary, P3/binary>> = Big,
    ?is(<<"012">>, P1),
    ?is(100, byte_size(P2)),
    ?is(<<"3456789">>, binary:part(P2, 0, 7)),
    ?is(Big, <<P1/binary, P2/binary, P3/binary>>),
    <<_:3, Q1:16/bits, Q2/bits>> = Big,
    ?is(<<129, 137>>, Q1),
    ?is(1600 - 19, bit_size(Q2)),
    <<Q3:5/bits, Q4/binary>> = Q2,
    ?is({<<18:5>>, 197}, {Q3, byte_size(Q4)}),
    ?is(nomatch, case Q2 of <<_/binary>> -> match; _ -> nomatch end),
    ?is(ok, case id(<<1:1>>) of <<1:1, R/bits>> when R =:= <<>> -> ok end),
    ?is(<<>>, case id(<<>>) of <<R2/binary>> -> R2 end),
    ?is([<<"ab">>, <<"cd">>], [X || <<X:2/binary>> <= id(<<"abcde">>)]),
    ?is({<<"key">>, <<"value">>}, split(id(<<"key=value">>), <<>>)).

split(<<$=, T/binary>>, Acc) -> {Acc, T};
split(<<C, T/binary>>, Acc) -> split(T, <<Acc/binary, C>>).

code_points() ->
    Cs = [0, $a, 16#7f, 16#80, 16#7ff, 16#800, 16#d7ff, 16#e000, 16#ffff,
          16#10000, 16#10ffff],
    [begin
         <<X/utf8>> = id(<<C/utf8>>), ?is(C, X),
         <<Y/utf16>> = id(<<C/utf16>>), ?is(C, Y),
         <<Z/utf16-little>> = id(<<C/utf16-little>>), ?is(C, Z),
         <<W/utf32>> = id(<<C/utf32>>), ?is(C, W),
         <<_:3, U/utf8, 1:5>> = id(<<0:3, C/utf8, 1:5>>), ?is(C, U),
         <<_:5, V/utf16-little, 1:3>> = id(<<0:5, C/utf16-little, 1:3>>), ?is(C, V)
     end || C <- Cs],
    Bad8 = [<<>>, <<16#80>>, <<16#c0, 16#80>>, <<16#c1, 16#bf>>, <<16#c3>>,
            <<16#e0, 16#80, 16#80>>, <<16#ed, 16#a0, 16#80>>,
            <<16#f0, 16#80, 16#80, 16#80>>, <<16#f4, 16#90, 16#80, 16#80>>,
            <<16#f8, 16#88, 16#80, 16#80, 16#80>>, <<16#e2, 16#82>>, <<16#e2, 16#28, 16#a1>>],
    [?is(no, case id(B) of <<_/utf8, _/bits>> -> yes; _ -> no end) || B <- Bad8],
    Bad16 = [<<0>>, <<16#dc00:16>>, <<16#d800:16>>, <<16#d800:16, 16#d800:16>>],
    [?is(no, case id(B) of <<_/utf16, _/bits>> -> yes; _ -> no end) || B <- Bad16],
    Bad32 = [<<0, 0, 0>>, <<16#d800:32>>, <<16#110000:32>>],
    [?is(no, case id(B) of <<_/utf32, _/bits>> -> yes; _ -> no end) || B <- Bad32],
    ?is({yes, <<"b">>}, case id(<<"ab">>) of <<_/utf8, R/binary>> -> {yes, R} end).

sizes() ->
    M = fun(N, B) -> case B of <<X:N, _/bits>> -> X; _ -> no end end,
    ?is(no, M(id(-1), <<1>>)),
    ?is(no, M(id(a), <<1>>)),
    ?is(no, M(id(1 bsl 70), <<1>>)),
    ?is(no, M(id(1.0), <<1>>)),
    ?is(1, M(id(8), <<1>>)),
    ?is(0, M(id(0), <<>>)),
    Huge = id(1 bsl 61),
    ?is(no, case id(<<1, 2, 3>>) of <<_:Huge/binary, _/binary>> -> yes; _ -> no end),
    ?is(<<"bc">>, case id(<<2, "bcd">>) of <<N, X:N/binary, _/binary>> -> X end),
    ?raises({error, {badmatch, <<1, 2>>}}, begin <<_:24>> = id(<<1, 2>>) end),
    ?raises({error, {badmatch, foo}}, begin <<_:8>> = id(foo) end).

%% Contexts that live across calls and collections.
loops() ->
    B = id(<< <<I:32>> || I <- lists:seq(1, 20000) >>),
    ?is(200010000, sum(B, 0)),
    ?is(lists:seq(1, 20000), [I || <<I:32>> <= B]),
    L = [<<I:17>> || I <- lists:seq(1, 1000)],
    ?is(lists:seq(1, 1000), [I || <<I:17>> <= list_to_bitstring(L)]).

sum(<<I:32, T/binary>>, N) ->
    _ = lists:seq(1, I rem 7),
    sum(T, N + I);
sum(<<>>, N) -> N.
