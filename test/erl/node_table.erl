%% Identifiers of other nodes make these known, wherever they are kept; when the
%% last one is gone so is the node.
-module(node_table).
-export([main/0]).
-include("test.hrl").

%% An identifier that came from node Name@here.
pid(Name, Creation) ->
    Node = Name ++ "@here",
    binary_to_term(<<131,88,100,(length(Node)):16,(list_to_binary(Node))/binary,
                     4711:32,3:32,Creation:32>>).
port(Name, Creation) ->
    Node = Name ++ "@here",
    binary_to_term(<<131,89,100,(length(Node)):16,(list_to_binary(Node))/binary,
                     4711:32,Creation:32>>).
ref(Name, Creation) ->
    Node = Name ++ "@here",
    binary_to_term(<<131,90,3:16,100,(length(Node)):16,(list_to_binary(Node))/binary,
                     Creation:32,1:32,2:32,3:32>>).

main() ->
    Old = state(available_internal_state),
    erts_debug:set_internal_state(available_internal_state, true),
    ok = erts_debug:set_internal_state(node_tab_delayed_delete, 0),
    try
        known(),
        kept(),
        refused(),
        many()
    after
        ok = erts_debug:set_internal_state(node_tab_delayed_delete, -1),
        erts_debug:set_internal_state(available_internal_state, Old)
    end.

state(What) ->
    try erts_debug:get_internal_state(What) catch error:undef -> false end.

%% What ran before may have left others.
ours(Node) -> lists:prefix("node_table_", atom_to_list(Node)).

known() ->
    P = pid("node_table_a", 1),
    Q = pid("node_table_a", 2),
    ?is(['node_table_a@here'], [N || N <- nodes(known), ours(N)]),
    ?is(true, lists:member(node(), nodes(known))),
    ?is([], [N || N <- nodes([this, visible, hidden, connected]), N =/= node()]),
    ?is([{'node_table_a@here', #{connection_id => undefined, node_type => known}}],
        [I || {N, _} = I <- nodes(known, #{connection_id => true, node_type => true}), ours(N)]),
    ?is([{'node_table_a@here', #{}}], [I || {N, _} = I <- nodes(known, #{}), ours(N)]),
    ?is(2, references('node_table_a@here')),
    ?is({1, 1}, {length(found({'node_table_a@here', 1})),
                 length(found({'node_table_a@here', 2}))}),
    ?is(true, P < Q).

%% What memory holds is what the node counts, wherever it is.
kept() ->
    Node = {'node_table_b@here', 7},
    put(node_table, [pid("node_table_b", 7), port("node_table_b", 7),
                     ref("node_table_b", 7)]),
    ?is([{heap, 3}], kinds(Node)),
    T = ets:new(node_table, [ordered_set]),
    ets:insert(T, [{I, get(node_table)} || I <- lists:seq(1, 10)]),
    ?is([{ets, 30}, {heap, 3}], kinds(Node)),
    ets:delete(T, 3),
    ?is([{ets, 27}, {heap, 3}], kinds(Node)),
    Timer = erlang:start_timer(1000000, self(), get(node_table)),
    ?is([{ets, 27}, {heap, 3}, {timer, 3}], kinds(Node)),
    erlang:cancel_timer(Timer),
    ets:delete(T),
    ?is([{heap, 3}], kinds(Node)),
    Self = self(),
    Other = spawn_link(fun() -> receive go -> Self ! got end, receive stop -> ok end end),
    Other ! get(node_table),
    ?is([{heap, 6}], kinds(Node)),
    Other ! go,
    receive got -> ok end,
    persistent_term:put(node_table, get(node_table)),
    ?is([{heap, 6}, {system, 3}], kinds(Node)),
    unlink(Other),
    exit(Other, kill),
    persistent_term:erase(node_table),
    erase(node_table),
    gone('node_table_b@here').

%% A term that ends too early leaves nothing behind.
refused() ->
    Bin = term_to_binary([ref("node_table_c", 1), pid("node_table_c", 2)]),
    gone('node_table_c@here'),
    [?raises({error, badarg}, binary_to_term(binary:part(Bin, 0, N)))
     || N <- lists:seq(1, byte_size(Bin) - 1)],
    gone('node_table_c@here').

%% More than any table starts with, through collections of both kinds.
many() ->
    L = [pid("node_table_d", N) || N <- lists:seq(1, 5000)],
    garbage_collect(),
    M = [port("node_table_d", N) || N <- lists:seq(1, 5000)],
    ?is(5000, references('node_table_d@here')),
    ?is(L, [pid("node_table_d", N) || N <- lists:seq(1, 5000)]),
    ?is(5000, length(M)),
    gone('node_table_d@here').

refs() ->
    erlang:garbage_collect(),
    {{node_references, Nodes}, {dist_references, Dists}} =
        state(node_and_dist_references),
    {Nodes, Dists}.

found(Node) ->
    {Nodes, _} = refs(),
    {Node, Refc, Refs} = lists:keyfind(Node, 1, Nodes),
    Kinds = [Kind || {_, Ks} <- Refs, Kind <- Ks],
    ?is(Refc, lists:sum([N || {_, N} <- Kinds])),
    Kinds.

kinds(Node) ->
    sum(lists:sort(found(Node))).

sum([{K, A}, {K, B} | T]) -> sum([{K, A + B} | T]);
sum([K | T]) -> [K | sum(T)];
sum([]) -> [].

references(Name) ->
    {_, Dists} = refs(),
    {Name, Refc, _} = lists:keyfind(Name, 1, Dists),
    Refc.

gone(Name) ->
    garbage_collect(),
    case lists:member(Name, nodes(known)) of
        true -> receive after 10 -> gone(Name) end;
        false -> ok
    end.
