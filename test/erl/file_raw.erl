%% file, raw and through its server: every operation of prim_file, its
%% results and its posix errors.
-module(file_raw).
-export([main/0]).
-include("test.hrl").
-include_lib("kernel/include/file.hrl").

main() ->
    Dir = "ling_file_raw." ++ os:getpid(),
    ok = file:make_dir(Dir),
    try
        names(Dir),
        read_write(filename:join(Dir, "rw")),
        modes(filename:join(Dir, "modes")),
        position(filename:join(Dir, "pos")),
        lines(filename:join(Dir, "lines")),
        info(filename:join(Dir, "info")),
        links(Dir),
        dirs(Dir),
        errors(Dir),
        owner(filename:join(Dir, "owner")),
        server(filename:join(Dir, "server")),
        ipread(filename:join(Dir, "ipread"))
    after
        [file:delete(filename:join(Dir, F)) || F <- element(2, file:list_dir_all(Dir))],
        file:del_dir(Dir)
    end,
    ?is({error, enoent}, file:read_file_info(Dir)).

names(Dir) ->
    ?is(utf8, file:native_name_encoding()),
    ?is(<<"abc", 0>>, prim_file:internal_name2native("abc")),
    ?is(<<195,165,0>>, prim_file:internal_name2native([229])),
    ?is(<<"ab/c", 0>>, prim_file:internal_name2native(["a", [$b, "/"], "c"])),
    ?is(<<255, 0>>, prim_file:internal_name2native(<<255>>)),
    ?raises({error, badarg}, prim_file:internal_name2native("a\0b")),
    ?raises({error, badarg}, prim_file:internal_name2native(<<"a", 0>>)),
    ?raises({error, badarg}, prim_file:internal_name2native(abc)),
    ?raises({error, badarg}, prim_file:internal_name2native([a])),
    ?raises({error, badarg}, prim_file:internal_name2native([16#110000])),
    ?is([229], prim_file:internal_native2name(<<195,165>>)),
    ?is({error, warning}, prim_file:internal_native2name(<<255>>)),
    ?is([], prim_file:internal_native2name(<<>>)),
    ?is(true, prim_file:is_translatable(<<195,165>>)),
    ?is(false, prim_file:is_translatable(<<255>>)),
    ?is("abc", prim_file:internal_normalize_utf8(<<"abc">>)),
    Wide = filename:join(Dir, [229, 16#4e2d]),
    ?is(ok, file:write_file(Wide, "x")),
    ?is({ok, <<"x">>}, file:read_file(Wide)),
    ?is(true, lists:member([229, 16#4e2d], element(2, file:list_dir(Dir)))),
    Raw = <<(list_to_binary(Dir))/binary, "/", 255>>,
    ?is(ok, file:write_file(Raw, "y")),
    ?is(true, lists:member(<<255>>, element(2, file:list_dir_all(Dir)))),
    ?is(false, lists:member(<<255>>, element(2, file:list_dir(Dir)))),
    ?is(ok, file:delete(Raw)),
    ?is({error, badarg}, file:read_file("a\0b")),
    ?is({error, enoent}, file:read_file("")),
    ?is({error, badarg}, file:read_file({a})).

read_write(F) ->
    {ok, Fd} = file:open(F, [raw, read, write, binary]),
    ?is(ok, file:write(Fd, ["abc", <<"def">>, [[], [$g]]])),
    ?is({ok, 0}, file:position(Fd, bof)),
    ?is({ok, <<"abcd">>}, file:read(Fd, 4)),
    ?is({ok, <<"efg">>}, file:read(Fd, 100)),
    ?is(eof, file:read(Fd, 1)),
    ?is({ok, <<>>}, file:read(Fd, 0)),
    ?is({ok, <<"bcd">>}, file:pread(Fd, 1, 3)),
    ?is(eof, file:pread(Fd, 100, 3)),
    ?is({ok, [<<"a">>, <<"fg">>, eof]}, file:pread(Fd, [{0,1},{5,10},{99,1}])),
    ?is(ok, file:pwrite(Fd, 2, "XY")),
    ?is(ok, file:pwrite(Fd, [{0, "1"}, {9, <<"z">>}])),
    ?is({ok, <<"1bXYefg", 0, 0, "z">>}, file:read_file(F)),
    ?is({error, einval}, file:pread(Fd, -1, 3)),
    ?is({error, badarg}, file:read(Fd, -1)),
    ?is({error, badarg}, file:write(Fd, [a])),
    ?is(ok, file:sync(Fd)),
    ?is(ok, file:datasync(Fd)),
    ?is({ok, 3}, file:position(Fd, {bof, 3})),
    ?is(ok, file:truncate(Fd)),
    ?is({ok, <<"1bX">>}, file:read_file(F)),
    ?is(ok, file:advise(Fd, 0, 0, normal)),
    ?is({error, einval}, file:advise(Fd, 0, 0, sometimes)),
    ?is(ok, file:allocate(Fd, 0, 10)),
    ?is(ok, file:close(Fd)),
    ?is({error, einval}, file:close(Fd)),
    ?is({error, einval}, file:read(Fd, 1)),
    Many = [<<I:16>> || I <- lists:seq(1, 1000)],
    ?is(ok, file:write_file(F, Many)),
    ?is({ok, iolist_to_binary(Many)}, file:read_file(F)),
    Big = binary:copy(<<"0123456789">>, 300000),
    ?is(ok, file:write_file(F, Big)),
    {ok, Back} = file:read_file(F),
    ?is(true, Back =:= Big),
    ?is({ok, <<>>}, begin ok = file:write_file(F, <<>>), file:read_file(F) end).

modes(F) ->
    ?is({error, enoent}, file:open(F, [raw, read])),
    ?is(ok, file:write_file(F, "one")),
    ?is(ok, file:write_file(F, "two", [append])),
    ?is({ok, <<"onetwo">>}, file:read_file(F)),
    ?is({error, eexist}, file:open(F, [raw, exclusive])),
    {ok, R} = file:open(F, [raw]),
    ?is({error, ebadf}, file:write(R, "x")),
    file:close(R),
    {ok, W} = file:open(F, [raw, write]),
    ?is({error, ebadf}, file:read(W, 1)),
    ?is(ok, file:write(W, "w")),
    file:close(W),
    ?is({ok, <<"w">>}, file:read_file(F)),

    ?is({error, badarg}, file:open(F, foo)),
    ?is({error, eisdir}, file:open(filename:dirname(F), [raw, read])),
    ?is({error, enotdir}, file:open(F, [raw, directory])),
    {ok, D} = file:open(filename:dirname(F), [raw, directory]),
    ?is({error, eisdir}, file:read(D, 1)),
    file:close(D).

position(F) ->
    ok = file:write_file(F, "0123456789"),
    {ok, Fd} = file:open(F, [raw, read, binary, {read_ahead, 4}]),
    ?is({ok, <<"01">>}, file:read(Fd, 2)),
    ?is({ok, 2}, file:position(Fd, cur)),
    ?is({ok, 5}, file:position(Fd, {cur, 3})),
    ?is({ok, <<"5">>}, file:read(Fd, 1)),
    ?is({ok, 8}, file:position(Fd, {eof, -2})),
    ?is({ok, <<"89">>}, file:read(Fd, 5)),
    ?is({error, einval}, file:position(Fd, -1)),
    ?is({error, einval}, file:position(Fd, {bof, -1})),
    ?is({ok, 100}, file:position(Fd, 100)),
    ?is(eof, file:read(Fd, 1)),
    file:close(Fd).

lines(F) ->
    ok = file:write_file(F, ["a\nbb\r\n\n", lists:duplicate(1000, $x), "\nlast"]),
    {ok, Fd} = file:open(F, [raw, read, binary, read_ahead]),
    ?is({ok, <<"a\n">>}, file:read_line(Fd)),
    ?is({ok, <<"bb\n">>}, file:read_line(Fd)),
    ?is({ok, <<"\n">>}, file:read_line(Fd)),
    {ok, X} = file:read_line(Fd),
    ?is(1001, byte_size(X)),
    ?is({ok, <<"last">>}, file:read_line(Fd)),
    ?is(eof, file:read_line(Fd)),
    file:close(Fd).

info(F) ->
    ok = file:write_file(F, "12345"),
    {ok, I} = file:read_file_info(F),
    ?is({5, regular, read_write}, {I#file_info.size, I#file_info.type, I#file_info.access}),
    ?is(ok, file:change_mode(F, 8#640)),
    {ok, I2} = file:read_file_info(F),
    ?is(8#100640, I2#file_info.mode),
    ?is(ok, file:change_time(F, {{2001,2,3},{4,5,6}}, {{2002,3,4},{5,6,7}})),
    {ok, I3} = file:read_file_info(F, [{time, local}]),
    ?is({{{2001,2,3},{4,5,6}}, {{2002,3,4},{5,6,7}}},
        {I3#file_info.atime, I3#file_info.mtime}),
    {ok, I4} = file:read_file_info(F, [{time, posix}]),
    ?is(true, is_integer(I4#file_info.mtime)),
    ?is(ok, file:write_file_info(F, #file_info{mode = 8#600})),
    ?is({error, enoent}, file:change_mode(F ++ "x", 8#600)),
    {ok, Fd} = file:open(F, [raw, read]),
    {ok, I5} = file:read_file_info(Fd),
    ?is(I2#file_info.inode, I5#file_info.inode),
    file:close(Fd),
    {ok, Null} = file:read_file_info("/dev/null"),
    ?is(device, Null#file_info.type).

links(Dir) ->
    A = filename:join(Dir, "link_a"), B = filename:join(Dir, "link_b"),
    C = filename:join(Dir, "link_c"),
    ok = file:write_file(A, "a"),
    ?is(ok, file:make_symlink("link_a", B)),
    ?is({ok, "link_a"}, file:read_link(B)),
    ?is({error, einval}, file:read_link(A)),
    ?is({error, enoent}, file:read_link(C)),
    {ok, I} = file:read_link_info(B),
    ?is(symlink, I#file_info.type),
    ?is({ok, <<"a">>}, file:read_file(B)),
    ?is(ok, file:make_link(A, C)),
    {ok, I2} = file:read_file_info(A),
    ?is(2, I2#file_info.links),
    ?is({error, eexist}, file:make_link(A, C)),
    ?is({error, eexist}, file:make_symlink("x", C)),
    Long = lists:duplicate(600, $n),
    ?is(ok, file:delete(B)),
    ?is(ok, file:make_symlink(Long, B)),
    ?is({ok, Long}, file:read_link(B)),
    ?is(ok, file:rename(A, B)),
    ?is({error, enoent}, file:rename(A, B)),
    [?is(ok, file:delete(X)) || X <- [B, C]].

dirs(Dir) ->
    D = filename:join(Dir, "sub"),
    ?is(ok, file:make_dir(D)),
    ?is({error, eexist}, file:make_dir(D)),
    ?is({ok, []}, file:list_dir(D)),
    ok = file:write_file(filename:join(D, "f"), ""),
    ?is({error, eexist}, file:del_dir(D)),
    ?is({error, eperm}, file:delete(D)),
    ?is({ok, ["f"]}, file:list_dir(D)),
    {ok, Cwd} = file:get_cwd(),
    ?is(ok, file:set_cwd(D)),
    ?is({ok, filename:join(Cwd, D)}, file:get_cwd()),
    ?is(ok, file:delete("f")),
    ?is(ok, file:set_cwd(Cwd)),
    ?is(ok, file:del_dir(D)),
    ?is({error, enoent}, file:set_cwd(D)),
    ?is({error, enotsup}, file:get_cwd("C:")).

errors(Dir) ->
    F = filename:join(Dir, "plain"),
    ok = file:write_file(F, "x"),
    ?is({error, enotdir}, file:read_file(filename:join(F, "y"))),
    ?is({error, enotdir}, file:list_dir(F)),
    ?is({error, enotdir}, file:del_dir(F)),
    ?is({error, enoent}, file:list_dir(filename:join(Dir, "none"))),
    ?is({error, enametoolong}, file:read_file(lists:duplicate(5000, $a))),
    ?is({error, eisdir}, file:read_file(Dir)),
    ?is({error, eisdir}, file:write_file(Dir, "x")),
    ?is({error, eexist}, file:rename(F, Dir)),
    ok = file:delete(F).

%% A raw file of a process that is gone is closed; others may not use it.
owner(F) ->
    Self = self(),
    {P, M} = spawn_monitor(fun() ->
        {ok, Fd} = file:open(F, [raw, write]),
        Self ! {fd, Fd},
        receive stop -> ok end
    end),
    Fd = receive {fd, X} -> X end,
    ?raises({error, not_on_controlling_process}, file:write(Fd, "x")),
    P ! stop,
    receive {'DOWN', M, process, P, R} -> ?is(normal, R) end.

server(F) ->
    {ok, Fd} = file:open(F, [read, write, {encoding, utf8}]),
    ?is(ok, io:put_chars(Fd, [16#e5, 16#4e2d, $\n, "second\n"])),
    ?is({ok, 0}, file:position(Fd, bof)),
    ?is([16#e5, 16#4e2d, $\n], io:get_line(Fd, "")),
    ?is({ok, [second]}, io:fread(Fd, "", "~a")),
    ?is(ok, file:close(Fd)),
    ?is({ok, 13}, file:copy(F, F ++ "2")),
    ?is({ok, <<"å中\nsecond\n"/utf8>>}, file:read_file(F ++ "2")),
    ok = file:write_file(F, "{a, 1}.\n\"b\".\n"),
    ?is({ok, [{a, 1}, "b"]}, file:consult(F)).

ipread(F) ->
    ok = file:write_file(F, <<5:32, 8:32, "hello", 9:32, 100:32>>),
    {ok, Fd} = file:open(F, [raw, read, binary]),
    ?is({ok, {5, 8, <<"hello">>}}, prim_file:ipread_s32bu_p32bu(Fd, 0, 10)),
    ?is(eof, prim_file:ipread_s32bu_p32bu(Fd, 0, 4)),
    ?is({ok, {9, 100, eof}}, prim_file:ipread_s32bu_p32bu(Fd, 13, 10)),
    ?is(eof, prim_file:ipread_s32bu_p32bu(Fd, 18, 10)),
    file:close(Fd).
