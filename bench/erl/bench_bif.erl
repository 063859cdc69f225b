%% BIFs that programs lean on.
-module(bench_bif).
-export([names/0, program/1]).

names() ->
    [ets_insert, ets_lookup, ets_update, ets_select, ets_ordered, t2b, b2t, append, subtract,
     member, reverse, keyfind, bin_split, bin_matches, regex, regex_split, crc, compress, md5,
     phash, compare, list_to_bin, bin_to_list, iolist, atoms, tuple_list, maps_bifs, unicode_bifs].

program(ets_insert) -> {fun() -> lists:seq(1, 20000) end,
    fun(L) -> T = ets:new(t, [set]), [ets:insert(T, {K, K}) || K <- L], ets:delete(T) end};
program(ets_lookup) -> {fun() -> table(set, 10000) end, fun(T) -> lookup(100000, T, 0) end};
program(ets_update) -> {fun() -> table(set, 1000) end, fun(T) -> update(100000, T) end};
program(ets_select) -> {fun() -> table(set, 20000) end,
    fun(T) -> length(ets:select(T, [{{'$1', '$2'}, [{'>', '$2', 5000}], ['$1']}])) end};
program(ets_ordered) -> {fun() -> lists:seq(1, 10000) end,
    fun(L) -> T = ets:new(t, [ordered_set]), [ets:insert(T, {K * 7919 rem 10007, K}) || K <- L],
              walk(T, ets:first(T), 0), ets:delete(T) end};
program(t2b) -> {fun term/0, fun(T) -> times(40, fun() -> term_to_binary(T) end) end};
program(b2t) -> {fun() -> term_to_binary(term()) end, fun(B) -> times(40, fun() -> binary_to_term(B) end) end};
program(append) -> {fun() -> {lists:seq(1, 200), [x]} end, fun({A, B}) -> times(10000, fun() -> A ++ B end) end};
program(subtract) -> {fun() -> {lists:seq(1, 5000), lists:seq(1, 5000, 3)} end,
    fun({A, B}) -> times(10, fun() -> A -- B end) end};
program(member) -> {fun() -> lists:seq(1, 1000) end, fun(L) -> times(2000, fun() -> lists:member(1000, L) end) end};
program(reverse) -> {fun() -> lists:seq(1, 1000) end, fun(L) -> times(3000, fun() -> lists:reverse(L) end) end};
program(keyfind) -> {fun() -> [{I, I} || I <- lists:seq(1, 300)] end,
    fun(L) -> times(5000, fun() -> lists:keyfind(300, 1, L) end) end};
program(bin_split) -> {fun() -> binary:copy(<<"one,two,three\n">>, 5000) end,
    fun(B) -> binary:split(B, <<",">>, [global]) end};
program(bin_matches) -> {fun() -> binary:copy(<<"the quick brown fox ">>, 10000) end,
    fun(B) -> binary:matches(B, [<<"brown">>, <<"quick">>]) end};
program(regex) -> {fun() -> {ok, R} = re:compile("([a-z]+)@([a-z]+)\\.com"),
                           {R, binary:copy(<<"write to joe@example.com or not ">>, 500)} end,
    fun({R, S}) -> re:run(S, R, [global, {capture, all, binary}]) end};
program(regex_split) -> {fun() -> binary:copy(<<"a1b22c333">>, 2000) end, fun(S) -> re:split(S, "[0-9]+") end};
program(crc) -> {fun() -> binary:copy(<<"abcdefgh">>, 200000) end, fun erlang:crc32/1};
program(compress) -> {fun() -> binary:copy(<<"some text to compress, again ">>, 10000) end, fun zlib:compress/1};
program(md5) -> {fun() -> binary:copy(<<"abcdefgh">>, 100000) end, fun erlang:md5/1};
program(phash) -> {fun term/0, fun(T) -> times(100, fun() -> erlang:phash2(T) end) end};
program(compare) -> {fun() -> {term(), term()} end, fun({A, B}) -> times(200, fun() -> A =:= B end) end};
program(list_to_bin) -> {fun() -> lists:duplicate(1000, $x) end,
    fun(L) -> times(2000, fun() -> list_to_binary(L) end) end};
program(bin_to_list) -> {fun() -> binary:copy(<<$x>>, 1000) end,
    fun(B) -> times(2000, fun() -> binary_to_list(B) end) end};
program(iolist) -> {fun() -> [[<<"abc">>, $d, ["efg", <<"hij">>]] || _ <- lists:seq(1, 500)] end,
    fun(L) -> times(200, fun() -> iolist_to_binary(L) end) end};
program(atoms) -> {fun() -> [a, list, 'of some', atoms] end,
    fun(L) -> times(20000, fun() -> [list_to_existing_atom(atom_to_list(A)) || A <- L] end) end};
program(tuple_list) -> {fun() -> list_to_tuple(lists:seq(1, 100)) end,
    fun(T) -> times(10000, fun() -> list_to_tuple(tuple_to_list(T)) end) end};
program(maps_bifs) -> {fun() -> {maps:from_list([{I, I} || I <- lists:seq(1, 300)]), #{1 => a, 1000 => b}} end,
    fun({A, B}) -> times(200, fun() -> maps:keys(A), maps:values(A), maps:merge(A, B), maps:remove(7, A),
                                       maps:to_list(A) end) end};
program(unicode_bifs) -> {fun() -> lists:flatten(lists:duplicate(2000, "aä€")) end,
    fun(L) -> times(20, fun() -> unicode:characters_to_list(unicode:characters_to_binary(L)) end) end}.

times(0, _) -> ok;
times(N, F) -> F(), times(N - 1, F).

table(Type, N) -> T = ets:new(t, [Type]), ets:insert(T, [{K, K} || K <- lists:seq(1, N)]), T.
lookup(0, _, S) -> S;
lookup(N, T, S) -> [{_, V}] = ets:lookup(T, N rem 10000 + 1), lookup(N - 1, T, S + V).
update(0, _) -> ok;
update(N, T) -> ets:update_counter(T, N rem 1000 + 1, 1), update(N - 1, T).
walk(_, '$end_of_table', N) -> N;
walk(T, K, N) -> walk(T, ets:next(T, K), N + 1).
term() -> [{I, [I, {atom, "string", 1.5}], <<"binary">>, #{key => I}} || I <- lists:seq(1, 300)].
