%% References that own something, through external terms and texts and back.
-module(magic_ref).
-export([main/0]).
-include("test.hrl").

main() ->
    back(fun(R) -> binary_to_term(term_to_binary(R)) end),
    back(fun(R) -> list_to_ref(ref_to_list(R)) end),
    many(),
    gone().

back(There) ->
    A = atomics:new(3, []),
    atomics:put(A, 2, 4711),
    B = There(A),
    ?is(true, A =:= B),
    ?is(4711, atomics:get(B, 2)),
    atomics:put(B, 2, 4712),
    ?is(4712, atomics:get(A, 2)),
    T = ets:new(magic_ref, []),
    ets:insert(There(T), {a, 1}),
    ?is([{a, 1}], ets:lookup(T, a)),
    ets:delete(There(T)),
    ?is(undefined, ets:info(T)),
    ?is(undefined, ets:info(There(T))),
    %% It is kept alive by the copy alone.
    Copy = copy(There),
    garbage_collect(),
    ?is(17, atomics:get(Copy, 1)).

copy(There) ->
    A = atomics:new(1, []),
    atomics:put(A, 1, 17),
    There(A).

%% More than any table starts with.
many() ->
    L = [begin A = atomics:new(1, []), atomics:put(A, 1, I), A end || I <- lists:seq(1, 500)],
    M = binary_to_term(term_to_binary(L)),
    ?is(L, M),
    ?is(lists:seq(1, 500), [atomics:get(A, 1) || A <- M]).

%% What came back too late is a reference like another.
gone() ->
    Bin = encoded(),
    garbage_collect(),
    R = binary_to_term(Bin),
    ?is(true, is_reference(R)),
    ?raises({error, badarg}, atomics:get(R, 1)),
    ?is(R, binary_to_term(Bin)).

encoded() ->
    term_to_binary(atomics:new(1, [])).
