%% term_to_binary and binary_to_term: the bytes of OTP 25, and back.
-module(ext_roundtrip).
-export([main/0]).
-include("test.hrl").

main() ->
    bytes(),
    options(),
    key_order(),
    roundtrip(),
    funs(),
    identifiers(),
    compressed(),
    deep(),
    sizes(),
    growth().

bytes() ->
    T = fun(X) -> binary_to_list(term_to_binary(X)) end,
    ?is([131, 97, 0], T(0)),
    ?is([131, 97, 255], T(255)),
    ?is([131, 98, 0, 0, 1, 0], T(256)),
    ?is([131, 98, 255, 255, 255, 255], T(-1)),
    ?is([131, 98, 128, 0, 0, 0], T(-2147483648)),
    ?is([131, 110, 4, 0, 0, 0, 0, 128], T(2147483648)),
    ?is([131, 110, 4, 1, 1, 0, 0, 128], T(-2147483649)),
    ?is([131, 110, 8, 0, 0, 0, 0, 0, 0, 0, 0, 8], T(1 bsl 59)),
    ?is([131, 110, 9, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1], T(-(1 bsl 64))),
    ?is([131, 111, 0, 0, 1, 0, 0], lists:sublist(T(1 bsl 2047), 7)),
    ?is([131, 70, 63, 248, 0, 0, 0, 0, 0, 0], T(1.5)),
    ?is([131, 100, 0, 3, 102, 111, 111], T(foo)),
    ?is([131, 100, 0, 0], T('')),
    ?is([131, 100, 0, 1, 229], T('\xe5')),
    ?is([131, 119, 3, 226, 130, 172], T('\x{20ac}')),
    ?is([131, 106], T([])),
    ?is([131, 107, 0, 3, 1, 2, 255], T([1, 2, 255])),
    ?is([131, 108, 0, 0, 0, 1, 98, 0, 0, 1, 0, 106], T([256])),
    ?is([131, 108, 0, 0, 0, 1, 97, 1, 97, 2], T([1 | 2])),
    ?is([131, 104, 0], T({})),
    ?is([131, 104, 2, 97, 1, 106], T({1, []})),
    ?is([131, 105, 0, 0, 1, 0, 97, 1], lists:sublist(T(erlang:make_tuple(256, 1)), 8)),
    ?is([131, 109, 0, 0, 0, 2, 1, 2], T(<<1, 2>>)),
    ?is([131, 77, 0, 0, 0, 2, 3, 1, 160], T(<<1, 5:3>>)),
    ?is([131, 116, 0, 0, 0, 0], T(#{})),
    ?is([131, 116, 0, 0, 0, 2, 97, 1, 97, 2, 100, 0, 1, 97, 106], T(#{a => [], 1 => 2})),
    ?is([131, 113, 100, 0, 5, 108, 105, 115, 116, 115, 100, 0, 3, 109, 97, 112, 97, 2],
        T(fun lists:map/2)).

options() ->
    ?is(<<131, 99, "1.50000000000000000000e+00", 0, 0, 0, 0, 0>>,
        term_to_binary(1.5, [{minor_version, 0}])),
    ?is(<<131, 119, 1, $a>>, term_to_binary(a, [{minor_version, 2}])),
    ?is(<<131, 100, 0, 1, $a>>, term_to_binary(a, [{minor_version, 1}])),
    ?is(<<131, 97, 1>>, term_to_binary(1, [compressed])),
    ?is(<<131, 97, 1>>, term_to_binary(1, [{compressed, 0}])),
    ?is(<<131, 97, 1>>, iolist_to_binary(erlang:term_to_iovec(1))),
    ?is(<<131, 97, 1>>, iolist_to_binary(erlang:term_to_iovec(1, [{minor_version, 2}]))),
    ?raises({error, badarg}, term_to_binary(1, [foo])),
    ?raises({error, badarg}, term_to_binary(1, [{minor_version, 3}])),
    ?raises({error, badarg}, term_to_binary(1, [{compressed, 10}])),
    ?raises({error, badarg}, term_to_binary(1, foo)),
    ?raises({error, badarg}, term_to_binary(1, [compressed | foo])),
    ?is(#{k => v}, binary_to_term(term_to_binary(#{k => v}, [deterministic]))),
    M = maps:from_list([{I, I} || I <- lists:seq(1, 100)]),
    Det = term_to_binary(M, [deterministic]),
    ?is(<<131, 116, 0, 0, 0, 100, 97, 1, 97, 1, 97, 2, 97, 2>>, binary:part(Det, 0, 14)),
    ?is(M, binary_to_term(Det)),
    ?is({[1, 2], 6}, binary_to_term(<<131, 107, 0, 2, 1, 2, 99, 99>>, [used])),
    ?is(existing, binary_to_term(term_to_binary(existing), [safe])),
    ?raises({error, badarg},
            binary_to_term(<<131, 119, 24, "no_such_atom_for_a_test_">>, [safe])),
    ?raises({error, badarg}, binary_to_term(<<131, 97, 1>>, [foo])),
    ?raises({error, badarg}, binary_to_term(<<131, 97, 1>>, [safe | x])).

%% Keys of all types and many of each, some alike for long.
key_order() ->
    Ns = lists:seq(1, 600, 7),
    Alike = binary:copy(<<"all begin with this">>, 30),
    Bytes = [<<Alike/binary, (N * N):24>> || N <- Ns],
    Lengths = [binary:part(Alike, 0, N) || N <- lists:seq(1, 200)],
    Bits = [<<N:127>> || N <- Ns] ++ [<<N:61, 1:N>> || N <- Ns],
    <<_:3, Shifted/bits>> = <<0:3, Alike/binary, 1:1>>,
    Integers = [S * ((1 bsl B) + D) || B <- [0, 8, 58, 59, 60, 63, 64, 90], D <- [-2, 0, 1], S <- [1, -1]],
    Floats = [S * math:pow(2, E) || E <- [-1000, -3, 0, 1, 58, 60, 900], S <- [1, -1]] ++ [0.0],
    Others = [a, b, '', list_to_atom("\x{101}"), make_ref(), make_ref(), self(), fun lists:map/2,
              [], [1], [1, 2], {}, {1}, {2}, {1, 1}, #{}, #{1 => 1}, #{1 => 2}, #{1 => 1, 2 => 2},
              maps:from_keys(Ns, x), maps:from_keys([0 | Ns], x)],
    [begin
         M = maps:from_keys(Keys, v),
         Bin = term_to_binary(M, [deterministic]),
         <<131, 116, N:32, Pairs/bytes>> = Bin,
         Got = binary_to_term(<<131, 108, (2 * N):32, Pairs/bytes, 106>>),
         ?is(lists:sort(fun(A, B) -> erts_internal:cmp_term(A, B) =< 0 end, maps:keys(M)),
             [K || K <- Got, K =/= v]),
         ?is(M, binary_to_term(Bin))
     end || Keys <- [Bytes, Lengths, Bits, Bytes ++ Bits, [Shifted | Bytes], Integers,
                     Integers ++ Floats,
                     Bytes ++ Lengths ++ Bits ++ Integers ++ Floats ++ Others]].

roundtrip() ->
    Ts = [0, 1, -1, 1 bsl 31, -(1 bsl 31), 1 bsl 59, -(1 bsl 59), (1 bsl 59) - 1,
          -(1 bsl 59) - 1, 1 bsl 64, 1 bsl 5000, -(1 bsl 5000) + 77,
          0.0, 1.0e308, -1.0e-308, a, '', list_to_atom(lists:duplicate(255, 16#10348)),
          [], "string", [1, 2, 3 | x], lists:seq(1, 70000), lists:duplicate(70000, $a),
          {}, {a, {b, {c, []}}}, list_to_tuple(lists:seq(1, 1000)),
          <<>>, <<"small">>, binary:copy(<<"large">>, 1000), <<1:1>>,
          <<(binary:copy(<<"large">>, 1000))/binary, 3:5>>,
          #{}, #{a => 1, "b" => 2.0, {c} => #{d => <<>>}},
          maps:from_list([{I, {I, float(I)}} || I <- lists:seq(1, 33)]),
          maps:from_list([{{I}, integer_to_list(I)} || I <- lists:seq(1, 5000)]),
          #{maps:from_list([{I, I} || I <- lists:seq(1, 50)]) => x},
          self(), make_ref(), fun erlang:self/0, fun lists:foldl/3],
    [?is(T, binary_to_term(term_to_binary(T))) || T <- Ts],
    [?is(T, binary_to_term(term_to_binary(T, [compressed]))) || T <- Ts],
    [?is(T, binary_to_term(term_to_binary(T, [{minor_version, 2}]))) || T <- Ts],
    ?is(Ts, binary_to_term(term_to_binary(Ts))),
    %% Part of a larger binary, not aligned.
    <<_:3, B/binary>> = <<0:3, (term_to_binary(Ts))/binary>>,
    ?is(Ts, binary_to_term(B)).

funs() ->
    X = lists:seq(1, 3),
    F = fun(Y) -> {X, Y} end,
    B = term_to_binary(F),
    <<131, 112, Size:32, 1, _Uniq:16/binary, _Index:32, 1:32, _/binary>> = B,
    ?is(Size, byte_size(B) - 2),
    G = binary_to_term(B),
    ?is(true, F =:= G),
    ?is({X, 7}, G(7)),
    ?is(ext_roundtrip, element(2, erlang:fun_info(G, module))),
    H = binary_to_term(term_to_binary(fun ?MODULE:main/0)),
    ?is(true, H =:= fun ?MODULE:main/0).

%% Of other nodes, of old formats.
identifiers() ->
    P = binary_to_term(<<131, 88, 119, 7, "a@there", 100:32, 2:32, 77:32>>),
    ?is(true, is_pid(P)),
    ?is(a@there, node(P)),
    ?is(<<131, 88, 100, 0, 7, "a@there", 100:32, 2:32, 77:32>>, term_to_binary(P)),
    ?is(true, P =:= binary_to_term(<<131, 88, 100, 0, 7, "a@there", 100:32, 2:32, 77:32>>)),
    Old = binary_to_term(<<131, 103, 100, 0, 7, "a@there", 100:32, 2:32, 3>>),
    ?is(<<131, 88, 100, 0, 7, "a@there", 100:32, 2:32, 3:32>>, term_to_binary(Old)),
    ?is(false, P =:= Old),
    R = binary_to_term(<<131, 90, 3:16, 119, 7, "a@there", 77:32, 1:32, 2:32, 3:32>>),
    ?is(true, is_reference(R)),
    ?is(<<131, 90, 3:16, 100, 0, 7, "a@there", 77:32, 1:32, 2:32, 3:32>>, term_to_binary(R)),
    R1 = binary_to_term(<<131, 101, 100, 0, 7, "a@there", 9:32, 1>>),
    ?is(<<131, 90, 1:16, 100, 0, 7, "a@there", 1:32, 9:32>>, term_to_binary(R1)),
    Q = binary_to_term(<<131, 89, 119, 7, "a@there", 55:32, 77:32>>),
    ?is(true, is_port(Q)),
    ?is(<<131, 89, 100, 0, 7, "a@there", 55:32, 77:32>>, term_to_binary(Q)),
    Q4 = binary_to_term(<<131, 120, 119, 7, "a@there", 16#ffffffffff:64, 77:32>>),
    ?is(<<131, 120, 100, 0, 7, "a@there", 16#ffffffffff:64, 77:32>>, term_to_binary(Q4)),
    <<131, 88, 100, 0, 13, "nonode@nohost", _:32, _:32, 0:32>> = term_to_binary(self()),
    %% Creation 0 of our name is us.
    <<131, 88, 100, 0, 13, "nonode@nohost", N:32, S:32, _:32>> = term_to_binary(self()),
    ?is(self(), binary_to_term(<<131, 103, 100, 0, 13, "nonode@nohost", N:32, S:32, 0>>)),
    [?is(T, binary_to_term(term_to_binary(T))) || T <- [P, Old, R, R1, Q, Q4, [P, {R, Q}]]].

compressed() ->
    T = lists:duplicate(10000, {abc, "abc", <<"abc">>}),
    B = term_to_binary(T, [compressed]),
    <<131, 80, Size:32, Z/binary>> = B,
    ?is(true, byte_size(B) < 2000),
    ?is(Size, byte_size(term_to_binary(T)) - 1),
    ?is(term_to_binary(T), <<131, (zlib:uncompress(Z))/binary>>),
    ?is(T, binary_to_term(B)),
    ?is({T, byte_size(B)}, binary_to_term(<<B/binary, "more">>, [used])),
    ?raises({error, badarg}, binary_to_term(<<131, 80, (Size + 1):32, Z/binary>>)),
    ?raises({error, badarg}, binary_to_term(<<131, 80, (Size - 1):32, Z/binary>>)),
    ?raises({error, badarg}, binary_to_term(<<131, 80, 16#ffffffff:32, Z/binary>>)),
    ?raises({error, badarg}, binary_to_term(<<131, 80, Size:32, "garbage">>)).

%% Nothing recurses.
deep() ->
    L = lists:foldl(fun(_, A) -> [A] end, [], lists:seq(1, 200000)),
    ?is(true, L =:= binary_to_term(term_to_binary(L))),
    T = lists:foldl(fun(_, A) -> {A, x} end, [], lists:seq(1, 200000)),
    ?is(true, T =:= binary_to_term(term_to_binary(T))),
    M = lists:foldl(fun(_, A) -> #{k => A} end, [], lists:seq(1, 20000)),
    ?is(true, M =:= binary_to_term(term_to_binary(M))).

sizes() ->
    Ts = [1, 1 bsl 100, foo, "foo", [a | b], {1, 2.5}, <<1:3>>, #{a => b},
          maps:from_list([{I, I} || I <- lists:seq(1, 40)]), fun lists:map/2,
          self(), make_ref()],
    %% An upper bound for funs.
    F = fun(X) -> X + 1 end,
    ?is(byte_size(term_to_binary(F)) + 3, erlang:external_size(F)),
    [?is(byte_size(term_to_binary(T)), erlang:external_size(T)) || T <- Ts],
    [?is(byte_size(term_to_binary(T, [{minor_version, 0}])),
         erlang:external_size(T, [{minor_version, 0}])) || T <- Ts],
    ?raises({error, badarg}, erlang:external_size(1, [foo])).

%% Terms around every size at which the buffer of the encoder may have to grow,
%% with what is written late (a fun's length) and at once (strings, binaries).
growth() ->
    X = lists:seq(1000, 1300), B = binary:copy(<<"b">>, 100),
    F = fun(Y) -> {X, B, Y} end,
    [begin
         T = [Pad, F, {"string", B, 1 bsl 500, 1.5}, #{Pad => F}, <<Pad/binary, 1:3>>],
         E = term_to_binary(T),
         ?is(T, binary_to_term(E)),
         ?is(byte_size(E), byte_size(term_to_binary({T, 1})) - 4)
     end || N <- [900, 8000, 16200, 32600], I <- lists:seq(1, 200, 7),
            Pad <- [binary:copy(<<"p">>, N + I)]],
    %% From small to large blocks, and to mapped ones.
    [begin
         T = [F | [{I, binary:copy(<<I>>, Size)} || I <- lists:seq(1, N)]],
         E = term_to_binary(T),
         ?is(T, binary_to_term(E)),
         ?is(true, byte_size(E) =< erlang:external_size(T))
     end || {N, Size} <- [{15, 8192}, {16, 8192}, {40, 50000}, {300, 65536}]],
    [begin
         S = lists:duplicate(N, $s),
         ?is([S | S], binary_to_term(term_to_binary([S | S])))
     end || N <- [1000, 1017, 1018, 1019, 1020, 1021, 1022, 65535, 65536]],
    ok.
