%% The order of terms, equality, the portable hashes and erts_debug's sizes.
-module(term_order).
-export([main/0]).
-include("test.hrl").

main() ->
    order(),
    common(),
    numbers(),
    hashes(),
    sizes(),
    wide(),
    deep().

%% Each is less than all that follow.
sorted() ->
    [-(1 bsl 80), -1.0e20, -(1 bsl 59), -1, -0.5, 0, 0.5, 1, 2.5, 1 bsl 59, 1.0e19,
     1 bsl 80, 1.0e300,
     '', 'A', a, aa, b, 'å', 'ā',
     make_ref(), fun lists:map/2, fun lists:map/3,
     self(), {}, {1}, {a}, {1, 1}, {1, 2},
     #{}, #{1 => 1}, #{1 => 2}, #{a => 1}, #{1 => 1, 2 => 2},
     [], [1 | a], [1], [1, 1], [2], [a], [[]], [[[]]],
     <<>>, <<0:1>>, <<0>>, <<0, 0>>, <<0:15, 1:1>>, <<"a">>, <<"ab">>, <<"b">>, <<1:1>>].

order() ->
    L = sorted(),
    N = length(L),
    T = list_to_tuple(L),
    [begin
         A = element(I, T),
         B = element(J, T),
         ?is({A, B, I < J}, {A, B, A < B}),
         ?is({A, B, I =< J}, {A, B, A =< B}),
         ?is({A, B, I > J}, {A, B, A > B}),
         ?is({A, B, I >= J}, {A, B, A >= B}),
         ?is({A, B, I == J}, {A, B, A == B}),
         ?is({A, B, I =:= J}, {A, B, A =:= B})
     end || I <- lists:seq(1, N), J <- lists:seq(1, N)],
    ?is(L, lists:sort(lists:reverse(L))).

%% What follows so many equal cells decides, as an element and as a tail.
common() ->
    L = sorted(),
    [?is({N, L, L, L, L},
         {N, [lists:last(X) || X <- lists:sort(lists:reverse([P ++ [T] || T <- L]))],
          [last(N, X) || X <- lists:sort(lists:reverse([P ++ T || T <- L]))],
          [T || {T, _} <- lists:keysort(2, lists:reverse([{T, P ++ [T]} || T <- L]))],
          [T || [T] <- [lists:nthtail(N, X) || X <- gb_sets:to_list(
                            gb_sets:from_list(lists:reverse([P ++ [T] || T <- L])))]]})
     || N <- [0, 1, 2, 31, 32, 33, 64, 3000],
        P <- [[case I rem 3 of 0 -> I; 1 -> a; 2 -> {I} end || I <- lists:seq(1, N)]]].

last(0, T) -> T;
last(N, [_ | T]) -> last(N - 1, T).

numbers() ->
    ?is(true, id(1) == 1.0),
    ?is(false, id(1) =:= 1.0),
    ?is(true, id(0.0) =:= -0.0),
    ?is(true, id(1 bsl 53) == float(1 bsl 53)),
    ?is(false, id((1 bsl 53) + 1) == float(1 bsl 53)),
    ?is(true, id((1 bsl 53) + 1) > float(1 bsl 53)),
    ?is(true, id((1 bsl 70) + 1) > float(1 bsl 70)),
    ?is(true, id((1 bsl 70) - 1) < float(1 bsl 70)),
    ?is(true, id(-(1 bsl 70) - 1) < float(-(1 bsl 70))),
    ?is(true, id(1 bsl 2000) > 1.7e308),
    ?is(true, id(-(1 bsl 2000)) < -1.7e308),
    ?is([1, 1.0, 2.0, 2], [1, 1.0 | tl(tl(lists:sort([1, 1.0, 2.0, 2])))]),
    ?is(true, id({1, [2.0]}) == {1.0, [2]}),
    ?is(-1, erts_internal:cmp_term(1, 1.0)),
    ?is(1, erts_internal:cmp_term(0.5, 1)),
    ?is(0, erts_internal:cmp_term({a, #{}}, {a, #{}})).

hashes() ->
    ?is([erlang:phash2(T) || T <- portable()], expected()),
    ?is(0, erlang:phash2(a, 1)),
    ?is(1, erlang:phash(a, 1)),
    ?is(true, erlang:phash2(lists:seq(1, 100), 1 bsl 32) < 1 bsl 32),
    ?raises({error, badarg}, erlang:phash2(a, 0)),
    ?raises({error, badarg}, erlang:phash2(a, -1)),
    ?raises({error, badarg}, erlang:phash2(a, (1 bsl 32) + 1)),
    ?raises({error, badarg}, erlang:phash2(a, x)),
    ?is(erlang:phash2(maps:from_list([{I, I} || I <- lists:seq(1, 100)])),
        erlang:phash2(maps:from_list([{I, I} || I <- lists:seq(100, 1, -1)]))),
    <<_:5, B:1000/bits, _/bits>> = <<0:5, 7:1000, 0:3>>,
    ?is(erlang:phash2(<<7:1000>>), erlang:phash2(B)),
    %% Bits of every length from every bit on, and each kind of term first, last
    %% and alone in tuples, lists and maps; OTP's hashes.
    Bits = [<<R:N/bits>> || O <- [0, 1, 7, 8, 9], N <- lists:seq(0, 320),
                            <<_:O, R/bits>> <- [<<16#123456789abcdef:1000>>]],
    Ts = portable() ++ [[Y || {Y, _} <- [{X, X}]] || X <- portable()],
    Pairs = [[{X, Y}, {X, [Y], X}, [X, Y], [X | Y], #{X => Y}, #{X => Y, 1 => [2], a => b}]
             || X <- Ts, Y <- Ts],
    ?is(63810141, erlang:phash2([erlang:phash2(X) || X <- Bits])),
    ?is(94916858, erlang:phash2([erlang:phash2(X) || X <- lists:append(Pairs)])).

portable() ->
    [0, 1, -1, 1 bsl 27, -(1 bsl 27), 1 bsl 60, -(1 bsl 100), 1.5, -0.0, [], {}, #{},
     <<>>, foo, 'åäö', "abc", "abcd", [1000, 2000], [a | b], {a, b, [c]}, <<"hello">>,
     <<1:1>>, #{a => 1, b => #{}}, fun lists:map/2,
     maps:from_list([{I, [I]} || I <- lists:seq(1, 50)])].

sizes() ->
    ?is(0, erts_debug:flat_size(1)),
    ?is(0, erts_debug:flat_size([])),
    ?is(6, erts_debug:flat_size([1, 2, 3])),
    ?is(3, erts_debug:flat_size({1, 2})),
    ?is(2, erts_debug:flat_size(1.0)),
    ?is(2, erts_debug:flat_size(1 bsl 60)),
    ?is(3, erts_debug:flat_size(1 bsl 64)),
    ?is(10, erts_debug:flat_size([{a, 1}, {b, 2}])),
    ?is(6, erts_debug:flat_size(#{a => 1})),
    ?is(3, erts_debug:flat_size(<<"abc">>)),
    ?is(6, erts_debug:flat_size(binary:copy(<<"a">>, 100))),
    X = lists:seq(1, 3),
    ?is(11, erts_debug:size(id({X, id([X | X])}))),
    ?is(11, erts_debug:size_shared(id({X, id([X | X])}))),
    ?is(23, erts_debug:flat_size(id({X, id([X | X])}))),
    ?is({X, [X | X]}, erts_debug:copy_shared({X, [X | X]})),
    ?is(11, erts_debug:size(erts_debug:copy_shared(id({X, id([X | X])})))),
    Large = maps:from_list([{I, I} || I <- lists:seq(1, 300)]),
    ?is(true, erts_debug:size(Large) > 600),
    ?is(true, erts_debug:size({Large, Large#{a => b}}) < 2 * erts_debug:size(Large)),
    ?is(true, erts_debug:same(X, X)),
    %% References, those that hold something among them, and another node's.
    ?is(3, erts_debug:flat_size(make_ref())),
    ?is(3, erts_debug:flat_size(atomics:new(1, []))),
    ?is(5, erts_debug:size([atomics:new(1, [])])),
    ?is([4, 5, 5, 6, 6], [erts_debug:flat_size(other_ref(N)) || N <- lists:seq(1, 5)]),
    %% Parts of binaries: on the heap, and off it.
    On = list_to_binary(lists:seq(1, 20)),
    Off = binary:copy(On, 20),
    ?is([3, 3, 8, 9], parts(On, [{0, 64}, {3, 64}, {8, 61}, {7, 63}])),
    ?is([6, 11, 11], parts(Off, [{8, 800}, {3, 800}, {8, 801}])),
    ?is(8, erts_debug:flat_size(id(<<5:7>>))),
    ?is(11, erts_debug:flat_size(id(<<0:(8 * 80 + 1)>>))).

parts(B, Of) ->
    [begin <<_:Skip, P:Size/bitstring, _/bitstring>> = B, erts_debug:flat_size(P) end
     || {Skip, Size} <- Of].

other_ref(N) ->
    binary_to_term(<<131, 90, N:16, 100, 5:16, "x@y.z", 77:32, 0:14, 1:18, 0:((N - 1) * 32)>>).

%% As deep as the heap allows: no stack of ours is in the way.
%% Wider than what is compared at once; what differs lies among what is the same.
wide() ->
    Wide = fun(K) ->
               list_to_tuple(lists:seq(1, 70000) ++ [[K], {K}] ++ lists:seq(1, 70000) ++ [[K]])
           end,
    A = Wide(1),
    N = tuple_size(A),
    ?is(true, A =:= Wide(1)),
    ?is(false, A =:= Wide(2)),
    ?is(true, [{A, a}, {}] =:= [{Wide(1), a}, list_to_tuple([])]),
    [?is({I, false}, {I, Wide(1) =:= setelement(I, A, [2])}) || I <- [1, 70001, 70002, N]],
    Left = fun(Last) -> lists:foldl(fun(I, T) -> {I, T, b, [I]} end, Last, lists:seq(1, 1000)) end,
    ?is(true, Left([1]) =:= Left([1])),
    ?is(false, Left([1]) =:= Left([2])),
    ?is(false, Left([1]) =:= setelement(4, Left([1]), [1000, 1])).

deep() ->
    Deep = fun() -> lists:foldl(fun(I, A) -> {I, [A]} end, [], lists:seq(1, 200000)) end,
    A = Deep(),
    B = Deep(),
    ?is(true, A =:= B),
    ?is(true, A == B),
    ?is(false, A < B),
    ?is(erlang:phash2(A), erlang:phash2(B)),
    ?is(1000000, erts_debug:flat_size(A)),
    Self = self(),
    Pid = spawn(fun() -> receive T -> Self ! {back, T} end end),
    Pid ! A,
    ?is(true, receive {back, C} -> C =:= B end),
    ?is(1, map_get(A, #{B => 1})).

id(X) -> X.

expected() ->
    [88723725, 2614250, 44071773, 12354923, 69672967, 31803508, 124857544, 
     10380315, 20875736, 113427502, 87486268, 39679005, 13708901, 27999, 62518, 
     117343302, 7922743, 25762065, 74710280, 50222267, 47480723, 102233125, 
     99263494, 34981515, 125640444].
