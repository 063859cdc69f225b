%% compile_stdlib - compiles stdlib and prints the MD5 of every .beam.
%%
%% The sources lie in priv/stdlib/src and priv/{stdlib,kernel}/include, where
%% `make' puts a copy of the installed ones. The same line for the same source
%% is expected from every VM: the compiler is deterministic.
-module(compile_stdlib).
-export([run/0, run/1, profile/1]).

%% All modules, or those named after --.
run() ->
    run([list_to_atom(A) || A <- init:get_plain_arguments()]).

run([]) ->
    Files = filelib:wildcard(filename:join([priv(), "stdlib", "src", "*.erl"])),
    run([list_to_atom(filename:basename(F, ".erl")) || F <- Files]);
run(Modules) ->
    Failed = [M || M <- lists:sort(Modules), not compile(M)],
    io:format("~b modules compiled~s~n",
              [length(Modules) - length(Failed), [[", not ", atom_to_list(M)] || M <- Failed]]),
    halt(case Failed of [] -> 0; _ -> 1 end).

%% On ling: where the time goes that ten modules take, as a flame graph in File;
%% or the folded stacks on standard_io.
profile(Out) ->
    ok = ling:profile(start),
    [true = compile(M) || M <- [dict, ets, gen_server, erl_scan, io_lib_format, lists, maps, string,
                                supervisor, zip]],
    case Out of
        standard_io -> io:put_chars(ling:profile(stop, folded));
        _ -> ok = file:write_file(Out, ling:profile(stop, svg))
    end,
    halt(0).

compile(Module) ->
    Source = filename:join([priv(), "stdlib", "src", Module]),
    case compile:file(Source, options()) of
        {ok, Module, Beam} ->
            io:format("~s ~s~n", [Module, hex(erlang:md5(Beam))]),
            true;
        Error ->
            io:format("~s ~0p~n", [Module, Error]),
            false
    end.

%% maybe_expr: OTP 25's erl_lint and others are compiled with it.
options() ->
    [binary, deterministic, return_errors, nowarn_deprecated_function,
     {i, filename:join([priv(), "stdlib", "include"])},
     {i, filename:join([priv(), "stdlib", "src"])},
     {i, priv()},
     {i, filename:join([priv(), "kernel", "include"])}].

priv() ->
    filename:join(filename:dirname(filename:dirname(code:which(?MODULE))), "priv").

hex(Binary) ->
    [io_lib:format("~2.16.0b", [Byte]) || <<Byte>> <= Binary].
