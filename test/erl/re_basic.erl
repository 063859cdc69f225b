%% re: compile, run, captures, options, long matches.
-module(re_basic).
-export([main/0]).
-include("test.hrl").

main() ->
    compile(),
    captures(),
    names(),
    options(),
    unicode(),
    global(),
    limits(),
    long(),
    stack(),
    errors().

compile() ->
    {ok, {re_pattern, 2, 0, 0, Code}} = re:compile("(a)(b)"),
    ?is(true, is_binary(Code)),
    %% The code itself is the same: such patterns may be literals.
    {ok, {re_pattern, 0, 0, 0, Abc}} = re:compile("abc"),
    ?is(<<69, 82, 67, 80, 77, 0, 0, 0>>, binary:part(Abc, 0, 8)),
    ?is(<<173,137,134,51,14,196,39,178,18,177,218,229,147,89,195,172>>, erlang:md5(Abc)),
    ?matches({ok, {re_pattern, 0, 1, 0, _}}, re:compile("a", [unicode])),
    ?matches({ok, {re_pattern, 0, 0, 1, _}}, re:compile("a", [{newline, crlf}])),
    ?is({error, {"missing )", 2}}, re:compile("(a")),
    ?is({error, {"nothing to repeat", 0}}, re:compile("*")),
    ?is({error, {"unmatched parentheses", 0}}, re:compile(")")),
    ?is({error, {"missing terminating ] for character class", 2}}, re:compile("[a")),
    ?is(<<"8.44 2020-02-12">>, re:version()),
    ?matches({error, {_, _}}, re:compile(lists:duplicate(9000, $() ++ lists:duplicate(9000, $)))).

captures() ->
    ?is({match, [{1, 1}]}, re:run("abc", "b")),
    ?is(nomatch, re:run("abc", "x")),
    ?is({match, [{0, 3}, {0, 1}, {2, 1}]}, re:run("abc", "(a).(c)")),
    ?is({match, [{0, 1}]}, re:run("ab", "a(x)?")),
    ?is({match, [{0, 2}, {-1, 0}, {1, 1}]}, re:run("ab", "a(x)?(b)")),
    R = fun(C) -> re:run("ABCabcdABC", "(x)?abc(d)", [{capture, C, list}]) end,
    ?is({match, ["abcd", [], "d"]}, R(all)),
    ?is({match, [[], "d"]}, R(all_but_first)),
    ?is({match, ["abcd"]}, R(first)),
    ?is(match, R(none)),
    ?is(match, R([])),
    ?is({match, ["d", "abcd", [], []]}, R([2, 0, 1, 77])),
    ?is({match, [<<"abcd">>, <<>>, <<"d">>]},
        re:run("ABCabcdABC", "(x)?abc(d)", [{capture, all, binary}])),
    ?is({match, [{3, 4}]}, re:run("ABCabcdABC", "abcd", [{capture, first}])),
    ?is({match, [{-1, 0}, {3, 4}]}, re:run("ABCabcdABC", "abcd", [{capture, [5, 0], index}])),
    Big = binary:copy(<<"0123456789">>, 100),
    ?is({match, [<<"345">>, <<"4">>]}, re:run(Big, "3(4)5", [{capture, all, binary}])),
    ?is({match, ["345"]}, re:run([<<"0123">>, ["45" | <<"67">>]], "345", [{capture, all, list}])).

names() ->
    {ok, P} = re:compile("(?<n>b)(?<m>x)?"),
    ?is({namelist, [<<"m">>, <<"n">>]}, re:inspect(P, namelist)),
    ?is({match, [<<>>, <<"b">>]}, re:run("abc", P, [{capture, all_names, binary}])),
    ?is({match, [{-1, 0}, {1, 1}]}, re:run("abc", P, [{capture, all_names}])),
    ?is({match, [<<"b">>, <<>>, <<>>]}, re:run("abc", P, [{capture, [n, "m", <<"q">>], binary}])),
    {ok, D} = re:compile("(?<a>x)|(?<a>y)|(?<b>z)", [dupnames]),
    ?is({namelist, [<<"a">>, <<"b">>]}, re:inspect(D, namelist)),
    ?is({match, ["y"]}, re:run("_y", D, [{capture, [a], list}])),
    ?is({match, ["x", []]}, re:run("_x", D, [{capture, all_names, list}])),
    ?is({match, [[], "z"]}, re:run("_z", D, [{capture, [a, b], list}])),
    {ok, N} = re:compile("a"),
    ?is({namelist, []}, re:inspect(N, namelist)),
    ?is(match, re:run("a", N, [{capture, all_names, list}])),
    ?raises({error, badarg}, re:inspect(N, foo)),
    ?raises({error, badarg}, re:inspect(foo, namelist)).

options() ->
    ?is({match, [{0, 1}]}, re:run("A", "a", [caseless])),
    ?is(nomatch, re:run("ba", "a", [anchored])),
    ?is({match, [{1, 1}]}, re:run("ba", "^a", [{offset, 1}, notbol]) =:= nomatch andalso
            re:run("ba", "a", [{offset, 1}])),
    ?is({match, [{0, 3}]}, re:run("a\nb", "a.b", [dotall])),
    ?is(nomatch, re:run("a\nb", "a.b")),
    ?is({match, [{2, 1}]}, re:run("a\nb", "^b", [multiline])),
    ?is({match, [{0, 2}]}, re:run("ab", "a b # comment", [extended])),
    ?is({match, [{0, 1}]}, re:run("aaa", "a+", [ungreedy])),
    ?is({match, [{2, 1}]}, re:run("a\rb", "^b", [multiline, {newline, cr}])),
    ?is(nomatch, re:run("", "a*", [notempty])),
    ?is({match, [{0, 1}]}, re:run("ab", "(a)", [no_auto_capture])),
    ?is(nomatch, re:run("a\n", "a$", [dollar_endonly])),
    ?is([<<"a">>, <<"b">>, <<"c">>], re:split("a,b,c", ",")),
    ?is(["a", "b", "c"], re:split("a1b22c", "[0-9]+", [{return, list}])),
    ?is(<<"a-b-c">>, re:replace("a b c", " ", "-", [global, {return, binary}])),
    ?is("[a][b]", re:replace("ab", "(.)", "[\\1]", [global, {return, list}])).

unicode() ->
    ?is({match, [{1, 3}]}, re:run("a€", "€", [unicode])),
    ?is({match, ["€"]}, re:run("a€b", "[^ab]", [unicode, {capture, all, list}])),
    ?is({match, [<<"€"/utf8>>]}, re:run("a€b", "[^ab]", [unicode, {capture, all, binary}])),
    ?is({match, [{0, 2}]}, re:run(<<"å"/utf8>>, "^.$", [unicode])),
    {ok, P} = re:compile("(å|ä)ö", [unicode]),
    ?is({match, ["äö", "ä"]}, re:run("xäö", P, [{capture, all, list}])),
    ?is({match, [{0, 2}]}, re:run(<<"Å"/utf8>>, "å", [unicode, caseless])),
    ?is({match, [{0, 1}]}, re:run([229], "\\w", [ucp])),
    ?raises({error, badarg}, re:run(<<255>>, "a", [unicode])),
    ?raises({error, badarg}, re:run(<<"a", 226, 130>>, <<"a">>, [unicode])),
    ?is(["a", "€b"], re:split("aå€b", "å", [unicode, {return, list}])).

global() ->
    ?is({match, [[{0, 1}], [{2, 1}]]}, re:run("aba", "a", [global])),
    ?is({match, [["a", "a"], ["b", "b"]]}, re:run("ab", "(.)", [global, {capture, all, list}])),
    ?is(nomatch, re:run("ab", "x", [global])),
    ?is({match, [[{0, 0}], [{1, 0}], [{2, 0}]]}, re:run("ab", "", [global])),
    {ok, P} = re:compile("."),
    ?is({match, [[<<"a">>], [<<"b">>]]}, re:run(<<"ab">>, P, [global, {capture, all, binary}])),
    ?is({match, [["å"], ["ä"]]}, re:run("åä", ".", [global, unicode, {capture, all, list}])).

limits() ->
    S = lists:duplicate(30, $a),
    ?is(nomatch, re:run(S, "(a+)+b", [{match_limit, 1000}])),
    ?is({error, match_limit}, re:run(S, "(a+)+$b", [{match_limit, 1000}, report_errors, no_start_optimize])),
    ?is({error, match_limit_recursion},
        re:run(S, "(a+)*$b", [{match_limit_recursion, 10}, report_errors, no_start_optimize])),
    ?is({error, {compile, {"missing )", 2}}}, re:run("a", "(a", [report_errors])).

%% Many slices long. Others of the same scheduler run in between.
long() ->
    S = binary:copy(<<"a">>, 22),
    Self = self(),
    spawn_opt(fun() ->
            Pid = spawn_opt(fun() -> ticker(0) end, [{scheduler, 1}]),
            Self ! {found, re:run(<<S/binary, $c>>, "^(a+)+b", [no_start_optimize])},
            Pid ! {stop, Self}
        end, [link, {scheduler, 1}]),
    ?is(nomatch, receive {found, Found} -> Found end),
    ?is(true, receive {ticks, N} -> N > 2 end),
    Long = binary:copy(<<"abcdefghij">>, 50000),
    ?is({match, [{500000, 3}]}, re:run(<<Long/binary, "xyz">>, "x.z")),
    ?is({match, [<<"a">>]}, re:run(<<Long/binary, "yyya">>, "(?<=y{3})a", [{capture, all, binary}])),
    ?is(50000, length(element(2, re:run(Long, "j", [global])))).

ticker(N) ->
    receive
        {stop, To} -> To ! {ticks, N}
    after 0 -> ticker(N + 1)
    end.

errors() ->
    ?raises({error, badarg}, re:run("a", "(a")),
    ?raises({error, badarg}, re:run(foo, "a")),
    ?raises({error, badarg}, re:run("a", foo)),
    ?raises({error, badarg}, re:run("a", "a", [foo])),
    ?raises({error, badarg}, re:run("a", "a", foo)),
    ?raises({error, badarg}, re:run("a", "a", [{offset, -1}])),
    ?raises({error, badarg}, re:run("a", "a", [{capture, foo, list}])),
    ?raises({error, badarg}, re:run("a", "a", [{capture, [-1], list}])),
    ?raises({error, badarg}, re:run("a", "a", [{capture, all, foo}])),
    ?raises({error, badarg}, re:run("a", "a", [{newline, foo}])),
    ?raises({error, badarg}, re:compile(foo)),
    ?raises({error, badarg}, re:compile("a", [global])),
    ?raises({error, badarg}, re:run("abc", {re_pattern, 0, 0, 0, <<"abcdefghijklmn">>}, [])),
    ?raises({error, badarg}, re:run("abc", {re_pattern, a, 0, 0, <<>>}, [])),
    {ok, P} = re:compile("a"),
    ?raises({error, badarg}, re:run("a", P, [caseless])).

%% The compiler stops before the C stack ends, which is as deep as it says.
stack() ->
    Before = erts_debug:set_internal_state(available_internal_state, true),
    Size = erts_debug:get_internal_state(stack_check),
    ?is(true, is_integer(Size) andalso Size > 10000),
    erts_debug:set_internal_state(available_internal_state, Before),
    Deep = fun(N) -> [lists:duplicate(N, $(), $a, lists:duplicate(N, $))] end,
    ?matches({error, {_, _}}, re:compile(Deep(Size))).
