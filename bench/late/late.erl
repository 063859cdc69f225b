%% How late a ticking process is while another does one long thing.
%%
%% The ticker, at priority max, wants to wake every millisecond; what it is late
%% by, at worst, is how long the scheduler was held, or the machine did something
%% else: so the processor time between two ticks is told too. Inputs are prepared
%% by the process that then works on them, and take Bytes each, about. Prints a
%% line for each operation: name, worst lateness, most processor time between two
%% ticks, how long it took, in microseconds. Run by bench/late.py.
-module(late).
-export([run/1]).

run([Mb | Only]) ->
    Bytes = list_to_integer(Mb) bsl 20,
    [measure(Name, Prepare, Work)
     || {Name, Prepare, Work} <- operations(Bytes),
        Only =:= [] orelse lists:member(atom_to_list(Name), Only)],
    halt(0).

%% Prepare() gives what Work gets. The operation ends with Work, or with the
%% process that was made for it: then it is how that ends that is measured.
measure(Name, Prepare, Work) ->
    Me = self(),
    Ticker = spawn_opt(fun() -> ticks(Me) end, [link, {priority, max}]),
    {Worker, Ref} = spawn_monitor(fun() -> work(Me, Prepare, Work) end),
    receive {Worker, ready} -> ok end,
    erlang:garbage_collect(),
    Ticker ! {self(), start},
    receive {Ticker, started} -> ok end,
    Start = now_us(),
    Worker ! go,
    receive {'DOWN', Ref, process, Worker, Why} -> ok end,
    receive {late, From, To} -> {Begin, Stop} = {From, To}
    after 0 -> {Begin, Stop} = {Start, now_us()}
    end,
    Ticker ! {self(), stop},
    {Late, Held} = receive {Ticker, L} -> L end,
    case Why of
        ended -> ok;
        _ -> io:format(standard_error, "~p: ~P~n", [Name, Why, 9])
    end,
    io:format("~s ~b ~b ~b~n", [Name, Late, Held, Stop - Begin]),
    flush().

flush() -> receive _ -> flush() after 0 -> ok end.

now_us() -> erlang:monotonic_time(microsecond).

work(Me, Prepare, Work) ->
    Input = Prepare(),
    Me ! {self(), ready},
    receive go -> ok end,
    _ = Work(Input),
    exit(ended).

ticks(Me) ->
    receive {Me, start} -> ok end,
    Me ! {self(), started},
    Me ! {self(), tick(Me, now_us(), cpu_us(), 0, 0)}.

tick(Me, Last, LastCpu, Worst, WorstCpu) ->
    Done = receive {Me, stop} -> true after 1 -> false end,
    Now = now_us(),
    Cpu = cpu_us(),
    %% A timer of one millisecond may well take two.
    Late = max(Worst, Now - Last - 2000),
    Held = max(WorstCpu, Cpu - LastCpu),
    case Done of
        true -> {Late, Held};
        false -> tick(Me, Now, Cpu, Late, Held)
    end.

%% Of all threads, in whole milliseconds.
cpu_us() -> element(1, statistics(runtime)) * 1000.

%% 16 bytes a cell.
ints(Bytes) -> lists:seq(1, Bytes div 16).
%% A list of tuples of two: 16 + 24 bytes an element.
pairs(Bytes) -> [{I, I} || I <- lists:seq(1, Bytes div 40)].
bin(Bytes) -> binary:copy(<<"The quick brown fox jumps over the lazy dog 0123">>, Bytes div 48).
latin(Bytes) -> binary:copy(<<228, "hnlichkeit">>, Bytes div 11).
utf8(Bytes) -> binary:copy(<<"Ähnlich keit"/utf8>>, Bytes div 13).
map(Bytes) -> maps:from_list([{I, I} || I <- lists:seq(1, Bytes div 30)]).
table(Type, Bytes) ->
    T = ets:new(t, [Type, public]),
    fill(T, Bytes div 80),
    T.
fill(_, 0) -> ok;
fill(T, N) -> ets:insert(T, {N, N}), fill(T, N - 1).
iolist(Bytes) -> [<<"0123456789abcdef">> || _ <- lists:seq(1, Bytes div 32)].
keep(Input) -> put(kept, Input), Input.

operations(B) ->
    Seq = fun() -> ints(B) end,
    Pairs = fun() -> pairs(B) end,
    Bin = fun() -> bin(B) end,
    Map = fun() -> map(B) end,
    None = fun() -> none end,
    [{idle, None, fun(_) -> timer:sleep(100) end},
     {gc_list, fun() -> keep(ints(B)) end, fun(_) -> erlang:garbage_collect() end},
     {gc_tuples, fun() -> keep(pairs(B)) end, fun(_) -> erlang:garbage_collect() end},
     {grow, None, fun(_) -> length(grow(B div 40, [])) end},
     {gc_by_another, fun() -> other(fun() -> keep(pairs(B)) end) end,
      fun(P) -> erlang:garbage_collect(P) end},
     {exit_heap, fun() -> other(fun() -> keep(pairs(B)) end) end, fun kill/1},
     {exit_mailbox, fun() -> mailbox(B div 200) end, fun kill/1},
     {exit_binaries, fun() -> other(fun() -> keep([<<I:1024>> || I <- lists:seq(1, B div 200)]) end) end,
      fun kill/1},
     {ets_delete, fun() -> table(set, B) end, fun(T) -> ets:delete(T) end},
     {ets_delete_ordered, fun() -> table(ordered_set, B) end, fun(T) -> ets:delete(T) end},
     {ets_delete_all, fun() -> table(set, B) end, fun(T) -> ets:delete_all_objects(T) end},
     {ets_owner_exit, fun() -> other(fun() -> table(set, B) end) end, fun kill/1},
     {ets_insert_list, fun() -> {ets:new(t, []), pairs(B div 2)} end,
      fun({T, L}) -> ets:insert(T, L) end},
     {ets_tab2list, fun() -> table(set, B) end, fun ets:tab2list/1},
     {ets_select, fun() -> table(set, B) end,
      fun(T) -> ets:select(T, [{{'$1', -1}, [], ['$1']}]) end},
     {maps_from_list, Pairs, fun maps:from_list/1},
     {maps_from_keys, Seq, fun(L) -> maps:from_keys(L, x) end},
     {maps_keys, Map, fun maps:keys/1},
     {maps_values, Map, fun maps:values/1},
     {maps_to_list, Map, fun maps:to_list/1},
     {maps_merge, fun() -> {map(B div 2), maps:from_list([{-I, I} || I <- lists:seq(1, B div 60)])} end,
      fun({A, C}) -> maps:merge(A, C) end},
     {reverse, Seq, fun lists:reverse/1},
     {member, Seq, fun(L) -> lists:member(x, L) end},
     {keyfind, Pairs, fun(L) -> lists:keyfind(x, 1, L) end},
     {append, Seq, fun(L) -> L ++ [1] end},
     {subtract, fun() -> {ints(B div 2), ints(B div 2)} end, fun({A, C}) -> A -- C end},
     {length, Seq, fun erlang:length/1},
     {sort, fun() -> [erlang:phash2(I) || I <- ints(B div 8)] end, fun lists:sort/1},
     {list_to_tuple, fun() -> ints(B div 2) end, fun list_to_tuple/1},
     {tuple_to_list, fun() -> list_to_tuple(ints(B div 2)) end, fun tuple_to_list/1},
     {equal, fun() -> {pairs(B div 2), pairs(B div 2)} end, fun({A, C}) -> A == C end},
     {equal_exact, fun() -> {pairs(B div 2), pairs(B div 2)} end, fun({A, C}) -> A =:= C end},
     {less, fun() -> {pairs(B div 2), pairs(B div 2)} end, fun({A, C}) -> A < C end},
     {phash2, Pairs, fun erlang:phash2/1},
     {phash2_binary, Bin, fun erlang:phash2/1},
     {term_to_binary, Pairs, fun term_to_binary/1},
     {term_to_binary_map, Map, fun term_to_binary/1},
     {term_to_binary_zip, fun() -> pairs(B div 8) end, fun(L) -> term_to_binary(L, [compressed]) end},
     {external_size, Pairs, fun erlang:external_size/1},
     {binary_to_term, fun() -> term_to_binary(pairs(B)) end, fun binary_to_term/1},
     {binary_to_term_zip, fun() -> term_to_binary(pairs(B div 8), [compressed]) end, fun binary_to_term/1},
     {list_to_binary, fun() -> lists:duplicate(B div 16, 65) end, fun list_to_binary/1},
     {iolist_to_binary, fun() -> iolist(B) end, fun iolist_to_binary/1},
     {iolist_to_iovec, fun() -> iolist(B) end, fun erlang:iolist_to_iovec/1},
     {iolist_size, fun() -> iolist(B) end, fun iolist_size/1},
     {binary_to_list, fun() -> bin(B div 8) end, fun binary_to_list/1},
     {binary_copy, Bin, fun(X) -> binary:copy(X, 2) end},
     {binary_match, Bin, fun(X) -> binary:match(X, <<"zebra">>) end},
     {binary_match_many, Bin, fun(X) -> binary:match(X, [<<"zebra">>, <<"lion">>]) end},
     {binary_matches, fun() -> bin(B div 4) end, fun(X) -> binary:matches(X, <<"fox">>) end},
     {binary_split, fun() -> bin(B div 4) end, fun(X) -> binary:split(X, <<" ">>, [global]) end},
     {binary_replace, fun() -> bin(B div 4) end,
      fun(X) -> binary:replace(X, <<"fox">>, <<"cat">>, [global]) end},
     {binary_prefix, Bin, fun(X) -> binary:longest_common_prefix([X, X]) end},
     {binary_equal, fun() -> {bin(B), bin(B)} end, fun({X, Y}) -> X == Y end},
     {unicode_to_list, fun() -> utf8(B div 8) end, fun unicode:characters_to_list/1},
     {unicode_to_binary, fun() -> utf8(B) end, fun unicode:characters_to_binary/1},
     {unicode_from_latin1, fun() -> latin(B) end,
      fun(X) -> unicode:characters_to_binary(X, latin1, utf8) end},
     {unicode_from_list, fun() -> lists:duplicate(B div 16, 228) end,
      fun unicode:characters_to_binary/1},
     {re_run, Bin, fun(X) -> re:run(X, "zebra") end},
     {re_run_unicode, fun() -> utf8(B) end, fun(X) -> re:run(X, "zebra", [unicode]) end},
     {tuple_new, None, fun(_) -> erlang:make_tuple(big_arity(B), x) end},
     {tuple_set, fun() -> big_tuple(B) end, fun(T) -> setelement(1, T, y) end},
     {tuple_append, fun() -> big_tuple(B) end, fun(T) -> erlang:append_element(T, y) end},
     %% As large as integers get, nearly.
     {integer_multiply, fun() -> 1 bsl 16000000 - 1 end, fun(I) -> I * (I - 1) end},
     {integer_divide, fun() -> {1 bsl 16000000 - 1, 1 bsl 8000000 - 3} end,
      fun({I, J}) -> I div J end},
     {integer_to_text, fun() -> 1 bsl 4000000 - 1 end, fun erlang:integer_to_binary/1},
     {text_to_integer, fun() -> lists:duplicate(1000000, $7) end, fun erlang:list_to_integer/1},
     {dictionary_fill, None, fun(_) -> [put(I, I) || I <- lists:seq(1, B div 100)] end},
     {dictionary_erase, fun() -> [put(I, I) || I <- lists:seq(1, B div 100)] end,
      fun(_) -> erase() end},
     {flat_size, Pairs, fun erts_debug:flat_size/1},
     {size_shared, Pairs, fun erts_debug:size_shared/1},
     {persistent_erase, fun() -> persistent(B div 2) end,
      fun(_) -> persistent_term:erase(late), timer:sleep(300) end},
     {code_purge, fun() -> old_code(), other(fun() -> keep(pairs(B)) end) end,
      fun(_) -> code:purge(late_old) end},
     %% The largest module there is of OTP, most of it literals.
     {code_prepare, fun() -> {_, Code, _} = code:get_object_code(unicode_util), Code end,
      fun(Code) -> erlang:prepare_loading(unicode_util, Code) end},
     {ets_select_delete, fun() -> table(set, B) end,
      fun(T) -> ets:select_delete(T, [{{'$1', '$1'}, [], [true]}]) end},
     {ets_select_replace, fun() -> table(set, B) end,
      fun(T) -> ets:select_replace(T, [{{'$1', '$1'}, [], [{{'$1', 1}}]}]) end},
     {ets_select_count, fun() -> table(ordered_set, B) end,
      fun(T) -> ets:select_count(T, [{{'$1', '$1'}, [], [true]}]) end},
     {ets_match_object, fun() -> table(ordered_set, B) end,
      fun(T) -> ets:match_object(T, {'$1', -1}) end},
     {ets_bag_lookup, fun() -> bag(B) end, fun(T) -> ets:lookup(T, k) end},
     {ets_bag_delete, fun() -> bag(B) end, fun(T) -> ets:delete(T, k) end},
     {ets_bag_delete_object, fun() -> bag(B) end, fun(T) -> ets:delete_object(T, {k, -1}) end},
     {ets_info, fun() -> table(set, B) end, fun ets:info/1},
     {ets_insert_new, fun() -> {ets:new(t, []), pairs(B div 2)} end,
      fun({T, L}) -> ets:insert_new(T, L) end},
     {binary_build, Bin, fun(X) -> <<X/binary, X/binary>> end},
     {binary_shift, Bin, fun(X) -> <<1:1, X/binary, 0:7>> end},
     {bits_equal, fun() -> X = bin(B), {<<1:1, X/binary>>, <<1:1, X/binary>>} end,
      fun({X, Y}) -> X =:= Y end},
     {bits_phash2, fun() -> odd(bin(B)) end, fun erlang:phash2/1},
     {bits_to_list, fun() -> odd(bin(B div 8)) end, fun erlang:bitstring_to_list/1},
     {file_write, fun() -> file:delete(scratch()), bin(B) end,
      fun(X) -> ok = file:write_file(scratch(), X) end},
     {file_read, fun() -> ok = file:write_file(scratch(), bin(B)) end,
      fun(_) -> {ok, _} = file:read_file(scratch()) end},
     {zip, fun() -> bin(B div 4) end, fun zlib:compress/1},
     {unzip, fun() -> zlib:compress(bin(B)) end, fun zlib:uncompress/1},
     {sha256, fun() -> crypto:start(), bin(B) end, fun(X) -> crypto:hash(sha256, X) end},
     {md5, Bin, fun erlang:md5/1},
     {crc32, Bin, fun erlang:crc32/1},
     {adler32, Bin, fun erlang:adler32/1},
     %% Functions that only return.
     {unwind, None, fun(_) -> deep(B div 24) end},
     {list_comprehension, Seq, fun(L) -> [X || X <- L] end},
     {append_lists, fun() -> {ints(B div 2), ints(B div 2)} end, fun({A, C}) -> A ++ C end},
     {delete_from_list, Seq, fun(L) -> lists:delete(x, L) end},
     {unicode_list, fun() -> lists:duplicate(B div 16, 246) end,
      fun(L) -> unicode:characters_to_list(L, latin1) end},
     {binary_almost_match, Bin, fun(X) -> binary:match(X, <<"0123The quick brown fox!">>) end},
     {binary_decode, fun() -> binary:copy(<<7>>, 2000000) end,
      fun(X) -> binary:decode_unsigned(X, little) end},
     {bits_comprehension, fun() -> bin(B div 8) end, fun(X) -> << <<C>> || <<C>> <= X >> end},
     {term_to_iovec, Pairs, fun erlang:term_to_iovec/1},
     {map_iterate, Map, fun(M) -> maps:fold(fun(_, _, N) -> N + 1 end, 0, M) end},
     {map_with, Map, fun(M) -> maps:map(fun(_, V) -> V end, M) end},
     {map_equal, fun() -> {map(B div 2), map(B div 2)} end, fun({A, C}) -> A =:= C end},
     {ets_bag_insert, None, fun(_) -> bag(B) end},
     {ets_bag_element, fun() -> bag(B) end, fun(T) -> ets:lookup_element(T, k, 2) end},
     {ets_bag_member, fun() -> bag(B) end, fun(T) -> ets:member(T, k) end},
     {ets_bag_select, fun() -> bag(B) end, fun(T) -> ets:select(T, [{{k, -1}, [], ['$_']}]) end},
     {ets_bag_select_delete, fun() -> bag(B) end,
      fun(T) -> ets:select_delete(T, [{{k, '_'}, [], [true]}]) end},
     {ets_first_of_emptied, fun() -> emptied(B) end, fun ets:first/1},
     {ets_fill, None, fun(_) -> table(set, B) end},
     {ets_fill_ordered, None, fun(_) -> table(ordered_set, B) end},
     {ets_match, fun() -> table(set, B) end, fun(T) -> ets:match(T, {'$1', -1}) end},
     {ets_foldl, fun() -> table(set, B) end,
      fun(T) -> ets:foldl(fun(_, N) -> N + 1 end, 0, T) end},
     {ets_give_away, fun() -> {table(set, B), other(fun() -> ok end)} end,
      fun({T, P}) -> ets:give_away(T, P, x) end},
     {exit_links, fun() -> linked(B div 4000, fun(P) -> link(P) end) end, fun kill/1},
     {exit_monitors, fun() -> linked(B div 4000, fun(P) -> monitor(process, P) end) end,
      fun kill/1},
     {exit_timers, fun() -> other(fun() -> timers(B div 500) end) end, fun kill/1},
     {processes, fun() -> linked(B div 8000, fun(_) -> ok end) end, fun(_) -> processes() end},
     {dictionary_get, fun() -> [put(I, I) || I <- lists:seq(1, B div 100)] end,
      fun(_) -> get() end},
     {info_messages, fun() -> mailbox(B div 400) end,
      fun(P) -> process_info(P, messages) end},
     {info_dictionary, fun() -> other(fun() -> [put(I, I) || I <- lists:seq(1, B div 200)] end) end,
      fun(P) -> process_info(P, dictionary) end},
     {info_binary, fun() -> other(fun() -> keep([<<I:1024>> || I <- lists:seq(1, B div 200)]) end) end,
      fun(P) -> process_info(P, binary) end},
     {info_memory, fun() -> other(fun() -> keep(pairs(B)) end) end,
      fun(P) -> process_info(P, [memory, garbage_collection, total_heap_size]) end},
     {mailbox_on_heap, fun() -> own_mailbox(B div 400) end,
      fun(_) -> process_flag(message_queue_data, on_heap) end},
     {mailbox_selective, fun() -> own_mailbox(B div 200) end,
      fun(_) -> receive never -> ok after 0 -> ok end end},
     {hibernate, fun() -> keep(pairs(B div 2)) end, fun(_) -> hibernates() end},
     {persistent_put, fun() -> pairs(B div 2) end, fun(L) -> persistent_term:put(late, L) end},
     %% The copy of one term is exempt: for comparison.
     {copy_term, fun() -> {other(fun() -> ok end), pairs(B)} end, fun({P, L}) -> P ! L end}].

big_arity(B) -> min(B div 8, 1 bsl 24 - 2).
big_tuple(B) -> erlang:make_tuple(big_arity(B), x).
odd(X) -> <<_:1, Y/bits>> = X, Y.
bag(B) ->
    T = ets:new(t, [duplicate_bag]),
    [ets:insert(T, {k, I}) || I <- lists:seq(1, B div 80)],
    T.
%% A process that uses of what is erased.
persistent(Bytes) ->
    persistent_term:put(late, pairs(Bytes)),
    other(fun() -> keep(persistent_term:get(late)) end).
old_code() ->
    {ok, M, Code} = compile:forms([{attribute, 1, module, late_old}]),
    {module, M} = code:load_binary(M, "", Code),
    true = code:delete(M).
%% It stays: its deletion takes the system longer than what is measured.
scratch() -> "build/late.scratch".

deep(0) -> 0;
deep(N) -> 1 + deep(N - 1).
emptied(B) ->
    T = table(set, B),
    ets:safe_fixtable(T, true),
    [ets:delete(T, I) || I <- lists:seq(1, B div 80)],
    T.
%% A process that N others have to do with.
linked(N, Bind) ->
    Me = self(),
    P = spawn(fun() -> process_flag(trap_exit, true), receive never -> ok end end),
    [spawn(fun() -> Bind(P), Me ! bound, receive never -> ok end end) || _ <- lists:seq(1, N)],
    [receive bound -> ok end || _ <- lists:seq(1, N)],
    P.
timers(N) ->
    P = self(),
    keep([erlang:start_timer(1000000 + I rem 1000, P, x) || I <- lists:seq(1, N)]).
own_mailbox(N) ->
    process_flag(message_queue_data, off_heap),
    P = self(),
    [P ! {I, [I, I, I, I]} || I <- lists:seq(1, N)].
hibernates() ->
    erlang:send_after(100, self(), awake),
    erlang:hibernate(erlang, exit, [ended]).

grow(0, L) -> L;
grow(N, L) -> grow(N - 1, [{N, N} | L]).

%% A process that has done Prepare() and waits.
other(Prepare) ->
    Me = self(),
    P = spawn(fun() -> X = Prepare(), Me ! {self(), done}, receive {never, X} -> ok end end),
    receive {P, done} -> P end.

mailbox(N) ->
    P = spawn_opt(fun() -> receive never -> ok end end, [{message_queue_data, off_heap}]),
    [P ! {I, [I, I, I, I]} || I <- lists:seq(1, N)],
    P.

kill(P) ->
    Ref = monitor(process, P),
    exit(P, kill),
    receive {'DOWN', Ref, process, P, _} -> ok end,
    %% Its memory is freed after that.
    timer:sleep(300).
