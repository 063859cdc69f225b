%% What an application says to the instance it runs in.
%%
%% On stock OTP there is no instance: ready/0 is ok, the rest is as in the
%% first and only start.
-module(kindling).
-export([ready/0, rehearse/1, subscribe/0, unsubscribe/0, generation/0, creation/0, random_bytes/1]).

%% The application is ready to serve. `kindling bake --ready app` writes the
%% instance out here; every copy goes on from here.
ready() ->
    in_instance(fun() -> load_early(), ling:ready(application) end, ok).

%% A bake is done twice. The second time it says here what code a copy of the
%% first had loaded when it waited, so that no copy of this one has to load it.
load_early() ->
    case generation() =:= 0 andalso os:getenv("KINDLING_LOAD") of
        false ->
            ok;
        Names ->
            os:unsetenv("KINDLING_LOAD"),
            _ = code:ensure_modules_loaded(modules(Names)),
            ok
    end.

modules("") -> [];
modules(Names) ->
    {Name, Rest} = lists:splitwith(fun(C) -> C =/= $\n end, Names),
    [list_to_atom(Name) | modules(tl(Rest))].

%% To be called behind ready/0. A bake lets one copy run until it waits, to know
%% what memory a start writes first; Fun is run there only, and does what the
%% first requests will do (to itself, by loopback), so that its memory is ready too.
rehearse(Fun) ->
    case generation() of
        0 -> _ = Fun(), ok;
        _ -> ok
    end.

%% From now on the caller gets {ling, resumed, Generation} in each copy, before
%% any message from outside: what it drew by chance or learned from the clock
%% is to be drawn and learned again (rand:seed/1, names, tokens).
subscribe() ->
    in_instance(fun() -> ling:subscribe(true) end, ok).

unsubscribe() ->
    in_instance(fun() -> ling:subscribe(false) end, ok).

%% Which start of the image this is; 0 while it is being baked.
generation() ->
    in_instance(fun() -> ling:generation() end, 1).

%% Different in every start; what a node of this instance has for a creation.
creation() ->
    in_instance(fun() -> ling:creation() end, erlang:system_info(creation)).

%% N bytes, at most 256, of the host's entropy.
random_bytes(N) ->
    ling:entropy(N).

in_instance(F, Otherwise) ->
    case erlang:function_exported(ling, ready, 1) orelse erlang:is_builtin(ling, ready, 1) of
        true -> F();
        false -> Otherwise
    end.
