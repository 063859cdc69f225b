%% Files in memory: file:open(Data, [ram]).
-module(file_ram).
-export([main/0]).
-include("test.hrl").

main() ->
    [all(Opts, T) || {Opts, T} <- [{[binary], fun list_to_binary/1}, {[], fun(L) -> L end}]],
    {ok, R} = file:open("abc", [ram, read]),
    ?is({error, ebadf}, file:write(R, "x")),
    ?is({error, eacces}, file:truncate(R)),
    file:close(R),
    {ok, W} = file:open("abc", [ram, write]),
    ?is({error, ebadf}, file:read(W, 1)),
    file:close(W).

all(Opts, T) ->
    {ok, F} = file:open(<<"hello">>, [ram, read, write | Opts]),
    ?is({ok, T("he")}, file:read(F, 2)),
    ?is({ok, T("llo")}, file:read(F, 100)),
    ?is(eof, file:read(F, 1)),
    ?is({ok, T([])}, file:read(F, 0)),
    ?is(ok, file:write(F, " world")),
    ?is({ok, T("hello world")}, ram_file:get_file(F)),
    ?is({ok, 11}, ram_file:get_size(F)),
    ?is({ok, T("wor")}, file:pread(F, 6, 3)),
    ?is(eof, file:pread(F, 60, 3)),
    ?is({ok, [T("h"), eof]}, file:pread(F, [{0, 1}, {99, 1}])),
    ?is(ok, file:pwrite(F, 13, <<"z">>)),
    ?is({ok, T("hello world" ++ [0, 0, $z])}, ram_file:get_file(F)),
    ?is({ok, 5}, file:position(F, 5)),
    ?is({ok, 4}, file:position(F, {cur, -1})),
    ?is({ok, 12}, file:position(F, {eof, -2})),
    ?is({error, einval}, file:position(F, {bof, -1})),
    ?is({ok, 3}, file:position(F, 3)),
    ?is(ok, file:truncate(F)),
    ?is({ok, T("hel")}, ram_file:get_file(F)),
    ?is(ok, file:sync(F)),
    ?is(ok, file:datasync(F)),
    ?is(ok, file:advise(F, 0, 1, normal)),
    ?is(ok, file:close(F)),
    ?is({error, einval}, file:read(F, 1)).
