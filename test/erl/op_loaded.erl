%% op_loaded - on_load and nif_start: a module that prepares itself, and whose
%% stubs stay stubs when no library is there.
-module(op_loaded).
-include("test.hrl").
-export([main/0, stub/1]).
-nifs([stub/1]).
-on_load(prepare/0).

prepare() ->
    persistent_term:put({?MODULE, prepared}, true),
    case erlang:load_nif("/no/such/library", 0) of
        {error, {load_failed, _}} -> ok
    end.

stub(X) -> {stub, X}.

main() ->
    ?is(true, persistent_term:get({?MODULE, prepared}, false)),
    ?is({stub, 1}, stub(1)),
    ?is({stub, 1}, ?MODULE:stub(1)).
