%% How long a NIF library stays: load, upgrade, unload, and who holds it (nif_life.c).
-module(nif_life).
-export([main/0, id/1]).
-include("test.hrl").

main() ->
    refused(), upgraded(), vetoed(), taken_over(), held(), watched(), old_api(), pending(), waits(),
    ?is([], told()).

lib(What) ->
    filename:join(filename:dirname(code:which(?MODULE)), "nif_life_" ++ What).
is_open(What) ->
    {ok, Maps} = file:read_file("/proc/self/maps"),
    binary:match(Maps, list_to_binary("/nif_life_" ++ What ++ ".so")) =/= nomatch.

%% The module, with a clause of -nifs() or an on_load that enters a library.
load(More) ->
    Source = "-module(nif_life_mod). "
        "-export([init/2, loader/0, version/0, make/0, watch/2]). " ++ More ++
        " init(L, I) -> erlang:load_nif(L, I). "
        "loader() -> fun(L, I) -> erlang:load_nif(L, I) end. "
        "version() -> 0. "
        "make() -> 0. "
        "watch(_, _) -> 0. ",
    {ok, Tokens, _} = erl_scan:string(Source),
    {ok, _, Beam} = compile:forms(forms(Tokens, []), [nowarn_unused_function]),
    code:load_binary(nif_life_mod, "nif_life_mod", Beam).
forms([], []) ->
    [];
forms([{dot, _} = Dot | Rest], Form) ->
    {ok, F} = erl_parse:parse_form(lists:reverse([Dot | Form])),
    [F | forms(Rest, [])];
forms([T | Rest], Form) ->
    forms(Rest, [T | Form]).

fresh() ->
    gone(),
    {module, nif_life_mod} = load("").
gone() ->
    code:purge(nif_life_mod),
    code:delete(nif_life_mod),
    code:purge(nif_life_mod).

%% What libraries told, in order; after whatever is freed now has been.
told() ->
    erlang:garbage_collect(),
    timer:sleep(20),
    messages().
messages() ->
    receive M -> [M | messages()] after 0 -> [] end.

refused() ->
    fresh(),
    ?is({error, {bad_lib, "Library module name 'nif_life_mod' does not match calling module"
                          " 'nif_life'"}}, erlang:load_nif(lib("1"), self())),
    ?matches({error, {bad_lib, "load_nif/2 must be explicitly called" ++ _}},
             (id(erlang)):(id(load_nif))(lib("1"), self())),
    ?is({error, {bad_lib, "Duplicate NIF entry for nif_life_mod:make/0"}},
        nif_life_mod:init(lib("twice"), self())),
    ?is({error, {bad_lib, "Illegal flags field value 77 for NIF nif_life_mod:watch/2"}},
        nif_life_mod:init(lib("flags"), self())),
    ?is({error, {load, "Library load-call unsuccessful (3)."}},
        nif_life_mod:init(lib("1"), {self(), 3})),
    ?is([{load, 1}], told()),
    ?is(false, is_open("1")),
    ?is(0, nif_life_mod:version()),
    Loader = nif_life_mod:loader(),
    load("-nifs([version/0, make/0])."),
    ?matches({error, {old_code, _}}, Loader(lib("1"), self())),
    ?is({error, {bad_lib, "Function not declared as nif nif_life_mod:watch/2"}},
        nif_life_mod:init(lib("1"), self())),
    code:purge(nif_life_mod),
    load("-nifs([version/0, make/0, watch/2])."),
    ?is(ok, nif_life_mod:init(lib("1"), self())),
    ?is(true, is_open("1")),
    ?is(true, lists:member(nif_life_mod, erlang:system_info(taints))),
    gone(),
    ?is([{load, 1}, {unload, 1}], told()),
    ?is(false, is_open("1")).

upgraded() ->
    fresh(),
    ?is(ok, nif_life_mod:init(lib("1"), self())),
    ?is(1, nif_life_mod:version()),
    ?matches({error, {reload, _}}, nif_life_mod:init(lib("2"), self())),
    load(""),
    ?is(0, nif_life_mod:version()),
    ?is(ok, nif_life_mod:init(lib("2"), self())),
    ?is(2, nif_life_mod:version()),
    ?is([{load, 1}, {upgrade, 2}], told()),
    code:purge(nif_life_mod),
    ?is([{unload, 1}], told()),
    ?is([false, true], [is_open(V) || V <- ["1", "2"]]),
    %% From a deleted instance, and the same library once more.
    code:delete(nif_life_mod),
    load(""),
    ?is(ok, nif_life_mod:init(lib("2"), self())),
    code:purge(nif_life_mod),
    ?is([{upgrade, 2}, {unload, 2}], told()),
    ?is(2, nif_life_mod:version()),
    gone(),
    ?is([{unload, 2}], told()),
    ?is(false, is_open("2")).

vetoed() ->
    fresh(),
    ok = nif_life_mod:init(lib("1"), self()),
    R = nif_life_mod:make(),
    load(""),
    ?is({error, {upgrade, "Library upgrade-call unsuccessful (5)."}},
        nif_life_mod:init(lib("2"), {self(), 5})),
    ?is([{load, 1}, {upgrade, 2}], told()),
    ?is(false, is_open("2")),
    id(R).

%% vetoed/0's resource is still the first version's.
taken_over() ->
    ?is([{dtor, 1}], told()),
    ?is(ok, nif_life_mod:init(lib("1"), self())),
    code:purge(nif_life_mod),
    ?is([{upgrade, 1}, {unload, 1}], told()),
    take_over(),
    ?is([{dtor, 2}], told()).
take_over() ->
    R = nif_life_mod:make(),
    load(""),
    ?is(ok, nif_life_mod:init(lib("2"), self())),
    code:purge(nif_life_mod),
    ?is([{upgrade, 2}, {unload, 1}], told()),
    id(R).

%% A resource holds the library of purged code.
held() ->
    hold(),
    ?is([{dtor, 2}, {unload, 2}], told()),
    ?is(false, is_open("2")).
hold() ->
    R = nif_life_mod:make(),
    gone(),
    ?is([], told()),
    ?is(true, is_open("2")),
    id(R).

watched() ->
    fresh(),
    ok = nif_life_mod:init(lib("1"), self()),
    watch(),
    ?is([{dtor, 1}, {unload, 1}], told()).
watch() ->
    R = nif_life_mod:make(),
    [P, Q] = [spawn(fun() -> receive stop -> ok end end) || _ <- [1, 2]],
    ?is([0, 0, 0], [nif_life_mod:watch(R, X) || X <- [P, Q, Q]]),
    ?is({monitored_by, [R]}, process_info(P, monitored_by)),
    ?is({monitored_by, [R, R]}, process_info(Q, monitored_by)),
    gone(),
    P ! stop,
    ?is([{load, 1}, {down, 1}], told()),
    %% Nothing is told of Q: the resource ends first.
    id(R).

old_api() ->
    fresh(),
    ?is(ok, nif_life_mod:init(lib("old"), self())),
    ?is(1, nif_life_mod:version()),
    ?is(true, is_reference(nif_life_mod:make())),
    ?is([{load, 1}, {dtor, 1}], told()),
    gone(),
    ?is([{unload, 1}], told()).

%% In the on_load of code that is not there yet.
pending() ->
    gone(),
    OnLoad = fun(V, To) ->
                     "-on_load(enter/0). enter() -> erlang:load_nif(\"" ++ lib(V) ++
                         "\", list_to_pid(\"" ++ pid_to_list(To) ++ "\"))."
             end,
    ?matches({module, _}, load(OnLoad("1", self()))),
    ?is(1, nif_life_mod:version()),
    ?matches({module, _}, load(OnLoad("2", self()))),
    ?is(2, nif_life_mod:version()),
    code:purge(nif_life_mod),
    ?is([{load, 1}, {upgrade, 2}, {unload, 1}], told()),
    ?matches({error, on_load_failure}, load(OnLoad("none", self()))),
    ?is(2, nif_life_mod:version()),
    gone(),
    ?is([{unload, 2}], told()).

%% Somebody else may change code alone.
waits() ->
    fresh(),
    Self = self(),
    Before = erts_debug:set_internal_state(available_internal_state, true),
    ?is(true, erts_debug:set_internal_state(code_write_permission, true)),
    Load = fun() -> R = nif_life_mod:init(lib("1"), Self), Self ! {self(), R} end,
    {P, Ref} = spawn_monitor(Load),
    ?is(waits, receive {P, _} = X -> X after 50 -> waits end),
    ?is(0, nif_life_mod:version()),
    ?is(true, erts_debug:set_internal_state(code_write_permission, false)),
    ?is({P, ok}, receive {P, _} = Y -> Y after 60000 -> timeout end),
    receive {'DOWN', Ref, _, _, _} -> ok end,
    erts_debug:set_internal_state(available_internal_state, Before),
    ?is(1, nif_life_mod:version()),
    gone(),
    ?is([{load, 1}, {unload, 1}], told()).

id(X) -> X.
