%% diff_gen - Erlang programs at random.
%%
%% program(Seed, N) is always the same program: a module's text, the compiler's
%% options and the calls to make. A program ends: functions call only those
%% before them, recursion counts down or eats a list or a binary, and what a
%% call may cost is kept below ?COST. Expressions have types, so that most of
%% them give values; now and then one of another type is put in (#g.errors), so
%% that enough of them raise.
-module(diff_gen).
-export([program/2]).

-define(COST, 2000).

-record(g, {
    vars = [],          % {Name, Type} in scope
    weight = 1,         % how often what is generated runs, about
    errors = 0}).       % chance of an expression of another type, per thousand

program(Seed, N) ->
    rand:seed(exsss, {Seed, N, 4711}),
    put(fresh, 0),
    put(functions, []),
    Module = "diff_" ++ integer_to_list(N),
    G = #g{errors = pick([0, 5, 15, 40])},
    Texts = [function(I, G) || I <- lists:seq(1, 4 + rand:uniform(6))],
    Functions = lists:reverse(get(functions)),
    Text = [["-module(", Module, ").\n-compile([export_all, nowarn_export_all]).\n"
             "-record(r, {a, b = 1, c}).\n-record(s, {a = []}).\n"
             "-record(l, {a, b, c, d, e, f, g = [], h, i = 1.0}).\n"],
            attributes(N), Texts],
    Calls = [{list_to_atom(F), [argument(A, T) || {A, T} <- lists:zip(Kinds, Types)]} ||
                {F, Kinds, Types, _, _} <- Functions, _ <- lists:seq(1, 3)],
    {list_to_atom(Module), unicode:characters_to_list(Text), options(), Calls}.

options() ->
    pick([[], [], [], [], [r24], [r23], [r22], [no_ssa_opt], [no_type_opt], [no_copt],
          [inline], [no_bsm_opt], [r22, no_ssa_opt], [no_postopt, no_copt]]).

attributes(N) ->
    [case N rem 7 of
         0 -> "-on_load(on_load/0).\non_load() -> ok.\n";
         3 -> "-nifs([nif/1]).\nnif(X) ->\n  {X}.\n";
         _ -> ""
     end, ""].

%% ---- chance ----

pick(L) -> lists:nth(rand:uniform(length(L)), L).
chance(Thousandths) -> rand:uniform(1000) =< Thousandths.
upto(N) -> rand:uniform(N + 1) - 1.
some(Min, Max, F) -> [F() || _ <- lists:seq(1, Min + upto(Max - Min))].
commas(L) -> lists:join(", ", L).
nl() -> pick(["", "", "\n    "]).

fresh() ->
    N = get(fresh) + 1,
    put(fresh, N),
    "V" ++ integer_to_list(N).

bind(T, G) ->
    V = fresh(),
    {V, G#g{vars = [{V, T} | G#g.vars]}}.

types() -> [int, num, float, atom, bool, list, ints, tuple, bin, bits, map, 'fun', rec, any].

%% A variable of type T will do where another is wanted.
fits(T, T) -> true;
fits(_, any) -> true;
fits(int, num) -> true;
fits(float, num) -> true;
fits(bool, atom) -> true;
fits(ints, list) -> true;
fits(bin, bits) -> true;
fits(rec, tuple) -> true;
fits(_, _) -> false.

%% ---- functions ----

%% A function and what calls of it must know: the arguments' kinds (fuel: a
%% small number that is counted down), types, the result's type, the cost.
function(I, G0) ->
    Name = "f" ++ integer_to_list(I),
    put(cost, 1),
    Result = pick(types()),
    {Kinds, Types, Text} = shape(pick([plain, plain, plain, fuel, list, binary, wide]),
                                 Name, Result, G0),
    put(functions, [{Name, Kinds, Types, Result, get(cost)} | get(functions)]),
    [Text, ".\n\n"].

shape(plain, Name, Result, G) ->
    Types = some(0, 4, fun() -> pick(types()) end),
    {kinds(Types), Types, clauses(Name, Types, Result, G, 1 + upto(3))};
shape(wide, Name, Result, G) ->
    Types = some(5, 11, fun() -> pick(types()) end),
    {kinds(Types), Types, clauses(Name, Types, Result, G, 1)};
shape(fuel, Name, Result, G) ->
    Types = some(0, 3, fun() -> pick(types()) end),
    {Vs, G1} = binds(Types, G),
    {N, _} = bind(int, G1),
    G2 = G1#g{weight = 4 * G1#g.weight},
    {R, G3} = bind(Result, G2),
    Self = [Name, "(", commas([[N, " - 1"] | [e(T, 1, G2) || T <- Types]]), ")"],
    Text = [Name, "(", commas([[N] | Vs]), ") when ", N, " =< 0 ->\n  ", body(Result, 2, G1), ";\n",
            Name, "(", commas([[N] | Vs]), ") when ", N, " > 3 ->\n  ",
            Name, "(", commas([["3"] | Vs]), ");\n",
            Name, "(", commas([[N] | Vs]), ") ->\n  ",
            pick([Self,
                  [R, " = ", Self, ",\n  ", body(Result, 2, G3)]])],
    {[fuel | kinds(Types)], [int | Types], Text};
shape(list, Name, Result, G) ->
    {H, G1} = bind(any, G),
    {T, _} = bind(list, G1),
    {A, G2} = bind(Result, G1),
    G3 = G2#g{weight = 6 * G2#g.weight},
    Text = [Name, "([", H, "|", T, "], ", A, ") ", guard(G3), "->\n  ",
            Name, "(", T, ", ", e(Result, 2, G3), ");\n",
            pick([[Name, "([_|", T, "], ", A, ") ->\n  ", Name, "(", T, ", ", A, ");\n"], ""]),
            Name, "([], ", A, ") ->\n  ", body(Result, 1, G2#g{vars = [{A, Result} | G#g.vars]})],
    {[value, value], [list, Result], Text};
shape(binary, Name, Result, G) ->
    {Segment, Type, G0} = segment_pattern(G),
    {H, G1} = bind(Type, G0),
    {T, _} = bind(bits, G1),
    {A, G2} = bind(Result, G1),
    G3 = G2#g{weight = 6 * G2#g.weight},
    Text = [Name, "(<<", H, Segment, ", ", T, "/bits>>, ", A, ") ", guard(G3), "->\n  ",
            Name, "(", T, ", ", e(Result, 2, G3), ");\n",
            pick([[Name, "(<<_:", pick(["1", "8", "3"]), ", ", T, "/bits>>, ", A, ") ->\n  ",
                   Name, "(", T, ", ", A, ");\n"], "",
                  [Name, "(<<_/", pick(["utf8", "utf16", "utf32"]), ", ", T, "/bits>>, ", A,
                   ") ->\n  ", Name, "(", T, ", ", A, ");\n"]]),
            Name, "(<<>>, ", A, ") ->\n  ", body(Result, 1, G2#g{vars = [{A, Result} | G#g.vars]})],
    {[value, value], [pick([bin, bits]), Result], Text}.

kinds(Types) -> [value || _ <- Types].
binds(Types, G) -> lists:mapfoldl(fun bind/2, G, Types).

%% Clauses with patterns; without a last one that takes all, function_clause.
clauses(Name, Types, Result, G, N) ->
    Clauses = [begin
                   {Ps, G1} = lists:mapfoldl(fun(T, A) -> pattern(T, 2, A) end, G, Types),
                   [Name, "(", commas(Ps), ") ", guard(G1), "->\n  ", body(Result, 3, G1)]
               end || _ <- lists:seq(2, N)],
    {Vs, G2} = binds(Types, G),
    Last = [Name, "(", commas(Vs), ") ->\n  ", body(Result, 3, G2)],
    lists:join(";\n", case Clauses of
                          [_ | _] -> pick([Clauses, Clauses ++ [Last], Clauses ++ [Last]]);
                          [] -> [Last]
                      end).

%% Some matches and statements, then the result.
body(T, D, G) -> body(T, D, G, upto(3)).
body(T, D, G, 0) -> e(T, D, G);
body(T, D, G, N) ->
    {S, G1} = statement(D, G),
    [S, ",\n  ", body(T, D, G1, N - 1)].

statement(D, G) ->
    T = pick(types()),
    case rand:uniform(8) of
        N when N < 5 ->
            E = e(T, D, G),
            {V, G1} = bind(T, G),
            {[V, " = ", E], G1};
        5 ->
            E = e(T, D, G),
            {P, G1} = pattern(T, 1, G),
            {[P, " = ", E], G1};
        6 -> {e(T, D, G), G};
        7 -> {["put(", pick(["k1", "k2"]), ", ", e(T, D, G), ")"], G};
        8 -> {["self() ! ", e(T, D, G)], G}
    end.

%% ---- patterns ----

pattern(T, D, G) ->
    case rand:uniform(12) of
        1 -> {"_", G};
        2 -> bound(T, G);
        N when N < 6; D =< 0 -> bind(T, G);
        6 ->
            {P, G1} = shaped(T, D - 1, G),
            {V, G2} = bind(T, G1),
            {[V, " = ", P], G2};
        _ -> shaped(T, D - 1, G)
    end.

%% A variable that has a value already: the two must be equal.
bound(T, G) ->
    case [V || {V, VT} <- G#g.vars, fits(VT, T), V =/= "_"] of
        [] -> bind(T, G);
        Vs -> {pick(Vs), G}
    end.

shaped(T, _, G) when T =:= int; T =:= num -> {int_literal(), G};
shaped(float, _, G) -> {float_literal(), G};
shaped(atom, _, G) -> {atom_literal(), G};
shaped(bool, _, G) -> {pick(["true", "false"]), G};
shaped(T, D, G) when T =:= list; T =:= ints ->
    E = case T of ints -> int; _ -> any end,
    case rand:uniform(4) of
        1 -> {"[]", G};
        2 -> list_pattern(E, D, G, "");
        _ ->
            {Tail, G1} = bind(T, G),
            list_pattern(E, D, G1, [" | ", Tail])
    end;
shaped(tuple, D, G) ->
    {Ps, G1} = patterns(upto(4), D, G),
    {["{", commas(Ps), "}"], G1};
shaped(rec, D, G) ->
    {P, G1} = pattern(any, D, G),
    {["#r{", pick(["a", "b", "c"]), " = ", P, "}"], G1};
shaped(map, D, G) ->
    {P, G1} = pattern(any, D, G),
    {["#{", key_literal(), " := ", P,
      pick(["", [", ", key_literal(), " := _"]]), "}"], G1};
shaped(T, _, G) when T =:= bin; T =:= bits ->
    case rand:uniform(5) of
        1 -> {"<<>>", G};
        2 -> {["<<\"", pick(["a", "ab", "abc"]), "\", ", "_/bits>>"], G};
        3 ->
            {Size, G1} = bind(int, G),
            {Rest, G2} = bind(bits, G1),
            {["<<", Size, ":8, _:", Size, pick(["", "/unit:8", "/bits", "/binary"]), ", ",
              Rest, "/bits>>"], G2};
        _ ->
            {Segment, Type, G1} = segment_pattern(G),
            {V, G2} = case chance(250) of
                          true -> {"_", G1};
                          false -> bind(Type, G1)
                      end,
            {Rest, G3} = bind(T, G2),
            {["<<", V, Segment, ", ", Rest,
              case T of bin -> "/binary>>"; bits -> "/bits>>" end], G3}
    end;
shaped('fun', _, G) -> bind('fun', G);
shaped(any, D, G) -> shaped(pick(types() -- [any]), D, G).

list_pattern(E, D, G, Tail) ->
    {Ps, G1} = lists:mapfoldl(fun(_, A) -> pattern(E, D, A) end, G,
                              lists:seq(1, rand:uniform(3))),
    {["[", commas(Ps), Tail, "]"], G1}.

patterns(N, D, G) ->
    lists:mapfoldl(fun(_, A) -> pattern(any, D, A) end, G, lists:seq(1, N)).

%% What stands behind a variable in a binary pattern, and the variable's type.
segment_pattern(G) ->
    {S, T} = pick([{"", int}, {":16", int}, {":32/little", int}, {"/signed", int},
                   {":5", int}, {":64/signed-little", int}, {":13/signed", int}, {":72", int},
                   {":1", int}, {"/utf8", int}, {"/utf16", int}, {"/utf16-little", int},
                   {"/utf32", int}, {"/float", float}, {":32/float", float},
                   {":16/float", float}, {":64/float-little", float}, {":2/binary", bin},
                   {":1/binary", bin}, {":4/bits", bits}, {":11/bits", bits}]),
    {S, T, G}.

%% ---- guards ----

guard(G) ->
    case rand:uniform(3) of
        1 -> ["when ", lists:join(pick([", ", "; "]), some(1, 3, fun() -> test(2, G) end)), " "];
        _ -> ""
    end.

%% An expression that guards allow.
test(D, G) when D =< 0 ->
    [pick(["is_atom", "is_integer", "is_float", "is_number", "is_list", "is_tuple", "is_binary",
           "is_bitstring", "is_map", "is_boolean", "is_function", "is_pid", "is_port",
           "is_reference"]), "(", gleaf(any, G), ")"];
test(D, G) ->
    case rand:uniform(9) of
        1 -> ["(", gnum(D, G), pick([" < ", " > ", " =< ", " >= "]), gnum(D, G), ")"];
        2 -> ["(", gleaf(any, G), pick([" == ", " /= ", " =:= ", " =/= ", " < ", " >= "]),
              gleaf(any, G), ")"];
        3 -> ["(", test(D - 1, G), pick([" andalso ", " orelse ", " and ", " or ", " xor "]),
              test(D - 1, G), ")"];
        4 -> ["(not ", test(0, G), ")"];
        5 -> pick([["is_record(", gleaf(any, G), ", r)"], ["is_function(", gleaf(any, G), ", 1)"],
                   ["is_map_key(", key_literal(), ", ", gleaf(map, G), ")"],
                   ["(map_get(", key_literal(), ", ", gleaf(map, G), ") =:= ", gleaf(any, G), ")"]]);
        6 -> ["(binary_part(", gleaf(bin, G), ", ", gleaf(int, G), ", ", gleaf(int, G), ") == ",
              gleaf(bin, G), ")"];
        7 -> ["(", gnum(D, G), " =:= ", int_literal(), ")"];
        _ -> test(0, G)
    end.

gnum(D, G) when D =< 0 -> gleaf(num, G);
gnum(D, G) ->
    case rand:uniform(5) of
        1 -> ["(", gnum(D - 1, G), pick([" + ", " - ", " * ", " / "]), gnum(D - 1, G), ")"];
        2 -> ["(", gleaf(int, G), pick([" div ", " rem ", " band ", " bor ", " bxor ", " bsr "]),
              gleaf(int, G), ")"];
        3 -> [pick(["length", "hd"]), "(", gleaf(list, G), ")"];
        4 -> pick([["byte_size(", gleaf(bits, G), ")"], ["tuple_size(", gleaf(tuple, G), ")"],
                   ["map_size(", gleaf(map, G), ")"], ["bit_size(", gleaf(bits, G), ")"],
                   ["abs(", gleaf(num, G), ")"], ["trunc(", gleaf(num, G), ")"],
                   ["round(", gleaf(num, G), ")"], ["size(", gleaf(any, G), ")"],
                   ["element(", gleaf(int, G), ", ", gleaf(tuple, G), ")"],
                   ["- ", gleaf(num, G)], ["float(", gleaf(num, G), ")"]]);
        5 -> gleaf(num, G)
    end.

gleaf(T, G) ->
    case [V || {V, VT} <- G#g.vars, fits(VT, T)] of
        [_ | _] = Vs -> case chance(800) of true -> pick(Vs); false -> guard_literal(T) end;
        [] -> guard_literal(T)
    end.

%% Guards have no funs.
guard_literal('fun') -> guard_literal(atom);
guard_literal(any) -> guard_literal(pick(types() -- [any]));
guard_literal(T) -> literal(T).

variable(T, G) ->
    case [V || {V, VT} <- G#g.vars, fits(VT, T)] of
        [] when G#g.vars =/= [] ->
            case chance(50) of
                true -> element(1, pick(G#g.vars));
                false -> literal(T)
            end;
        [] -> literal(T);
        Vs -> pick(Vs)
    end.

%% ---- literals ----

literal(int) -> int_literal();
literal(num) -> pick([int_literal(), float_literal()]);
literal(float) -> float_literal();
literal(atom) -> atom_literal();
literal(bool) -> pick(["true", "false"]);
literal(list) -> pick(["[]", "[a, b]", "[1, 2.0, <<3>>]", "[{a, 1}, {b, 2}, {a, 3}]",
                       "[[], [1]]", "\"abc\""]);
literal(ints) -> pick(["[]", "[1]", "[3, 1, 2]", "\"text\"", "[16#10000000000000000, -1, 0]",
                       "[0, 0, 5, 255, 256]"]);
literal(tuple) -> pick(["{}", "{a}", "{1, 2}", "{ok, <<\"x\">>}", "{a, b, c, d}"]);
literal(rec) -> pick(["#r{}", "#r{a = x, c = 2.5}", "#s{}", "#l{}"]);
literal(bin) -> pick(["<<>>", "<<\"abc\">>", "<<1, 2, 3, 4, 5, 6, 7, 8>>", "<<\"\\x{e5}b\"/utf8>>",
                      "<<0:256>>", "<<255, 254, 216, 0>>",
                      "<<\"a binary of more than sixty-four bytes, that is counted and not copied\">>"]);
literal(bits) -> pick(["<<1:1>>", "<<5:3, 255>>", "<<\"ab\", 1:7>>", literal(bin)]);
literal(map) -> pick(["#{}", "#{a => 1}", "#{a => 1, b => [2], 3 => c}", "#{1.0 => x, 1 => y}",
                      "#{<<\"k\">> => v, {} => w}"]);
literal('fun') -> pick(["fun lists:reverse/1", "fun erlang:abs/1", "fun(X) -> X end",
                        "fun(X) -> {X, X} end", "fun(X, Y) -> [X | Y] end",
                        "fun([X | _]) -> X; (X) when is_atom(X) -> none end",
                        "fun erlang:'+'/2", "fun no:where/1"]);
literal(any) -> literal(pick(types() -- [any])).

int_literal() ->
    pick(["0", "1", "2", "-1", "3", "7", "10", "255", "256", "-129", "65535", "100000",
          "16#7fffffff", "-16#80000001", "16#7ffffffffffffff", "16#800000000000000",
          "-16#800000000000000", "-16#800000000000001", "16#ffffffffffffffff",
          "16#8000000000000000", "16#123456789abcdef0123456789abcdef", "-1000000000000000000000"]).
float_literal() ->
    pick(["0.0", "1.0", "-1.5", "0.1", "1.0e10", "-2.5e-5", "3.141592653589793", "1.0e300",
          "9007199254740993.0", "5.0e-324", "-0.0"]).
atom_literal() -> pick(["a", "b", "ok", "error", "true", "false", "undefined", "'A b'", "r"]).
key_literal() -> pick(["a", "b", "1", "3", "1.0", "<<\"k\">>", "{}", "c"]).

%% The same as terms, for the arguments of calls.
argument(fuel, _) -> upto(3);
argument(value, T) ->
    case chance(60) of
        true -> term(pick(types()));
        false -> term(T)
    end.

term(T) ->
    {ok, Tokens, _} = erl_scan:string(lists:flatten([record_free(T), "."])),
    {ok, Exprs} = erl_parse:parse_exprs(Tokens),
    {value, V, _} = erl_eval:exprs(Exprs, []),
    V.

record_free(rec) -> pick(["{r, a, 1, c}", "{r, 1, {2}, [3]}", "{s, []}", "{r}"]);
record_free('fun') -> pick(["fun lists:reverse/1", "fun erlang:abs/1", "fun no:where/2"]);
record_free(any) -> record_free(pick(types() -- [any]));
record_free(int) -> pick([int_literal(), integer_to_list(upto(50))]);
record_free(T) -> literal(T).

%% ---- expressions ----

e(T, D, G) ->
    case chance(G#g.errors) of
        true -> e1(pick(types()), D, G);
        false -> e1(T, D, G)
    end.

e1(T, D, G) when D =< 0 -> leaf(T, G);
e1(T, D, G) ->
    case rand:uniform(10) of
        1 -> leaf(T, G);
        N when N < 5 -> any_form(T, D - 1, G);
        N when N < 8 -> bif(T, D - 1, G);
        _ -> form(T, D - 1, G)
    end.

leaf(T, G) ->
    case chance(250) of
        true -> literal(T);
        false -> variable(T, G)
    end.

%% What gives a value of any type.
any_form(T, D, G) ->
    case rand:uniform(18) of
        1 -> ["(case ", e(any, D, G), " of\n    ", cases(any, T, D, G), " end)"];
        2 ->
            S = pick(types()),
            ["(case ", e(S, D, G), " of\n    ", cases(S, T, D, G), " end)"];
        3 -> ["(if ", test(2, G), " -> ", e(T, D, G), ";\n    ",
              pick(["true", "true", test(1, G)]), " -> ", e(T, D, G), " end)"];
        4 ->
            {S, G1} = statement(D, G),
            ["begin ", S, ",\n    ", e(T, D, G1), " end"];
        5 -> attempt(T, D, G);
        6 -> pick([["(catch ", e(T, D, G), ")"], ["element(2, {", e(any, D, G), ", ", e(T, D, G), "})"]]);
        7 -> call(T, D, G);
        8 -> call(T, D, G);
        9 -> call(T, D, G);
        10 ->
            A = pick(types()),
            Arg = e(A, D, G),
            {V, G1} = bind(A, G),
            ["(fun(", V, ") -> ", e(T, D, G1), " end)(", Arg, ")"];
        11 -> ["(", e(bool, D, G), " andalso ", e(T, D, G), ")"];
        12 -> received(T, D, G);
        13 -> ["hd([", e(T, D, G), " | ", e(list, D, G), "])"];
        14 -> ["map_get(k, #{k => ", e(T, D, G), ", ", key_literal(), " => ", e(any, D, G), "})"];
        15 -> selected(T, D, G);
        16 -> pick([["begin put(k3, ", e(T, D, G), "), get(k3) end"], "get(k1)", "erase(k2)",
                    ["(", e(map, D, G), ")"]]);
        17 -> raise(D, G);
        18 -> nested_fun(T, D, G)
    end.

%% Clauses of a case over an S, that give a T.
cases(S, T, D, G) ->
    Clauses = some(1, 3, fun() ->
        {P, G1} = pattern(S, 2, G),
        [P, " ", guard(G1), "-> ", nl(), e(T, D, G1)]
    end),
    Last = ["_ -> ", nl(), e(T, D, G)],
    lists:join(";\n    ", pick([Clauses, Clauses ++ [Last], Clauses ++ [Last], Clauses ++ [Last]])).

%% A jump table or a search.
selected(T, D, G) ->
    {Type, Keys} = pick([{int, [integer_to_list(I) || I <- lists:seq(0, 8)]},
                         {int, ["-1", "1", "255", "65536", "16#ffffffffffffffff", "10"]},
                         {atom, ["a", "b", "ok", "error", "undefined", "r"]},
                         {float, ["0.0", "1.0", "-1.5"]},
                         {tuple, ["{}", "{_}", "{_, _}", "{_, _, _, _}"]},
                         {any, ["a", "0", "1.0", "[]", "<<>>", "{}"]}]),
    ["(case ", e(Type, D, G), " of\n    ",
     [[K, " -> ", e(T, D - 1, G), ";\n    "] || K <- Keys],
     "_ -> ", e(T, D, G), " end)"].

attempt(T, D, G) ->
    Try = e(T, D, G),
    {C, G1} = bind(atom, G),
    {R, G2} = bind(any, G1),
    {S, _} = bind(list, G2),
    Caught = case rand:uniform(6) of
        1 -> [C, ":", R, ":", S, " -> ", nl(), "{", C, ", ", R, ", ", S, "}"];
        2 -> ["throw:", R, " -> ", e(T, D, G2#g{vars = [{R, any} | G#g.vars]})];
        3 -> ["error:{badmatch, ", R, "} -> ", nl(), e(T, D, G2#g{vars = [{R, any} | G#g.vars]}),
              ";\n    error:badarg -> ", e(T, D, G)];
        4 -> [C, ":", R, ":", S, " -> ", nl(), "erlang:raise(", C, ", ", R, ", ", S, ")"];
        5 -> [C, ":", R, " -> ", nl(), "{", C, ", ", R, ", ", e(T, D, G2), "}"];
        6 -> [C, ":", R, ":", S, " ", guard(G2), "-> ", nl(), "{", R, ", element(1, hd(", S, "))}"]
    end,
    case rand:uniform(5) of
        1 -> ["try ", Try, "\n    after ", e(any, D, G), " end"];
        2 ->
            {P, G3} = pattern(T, 1, G),
            ["try ", Try, " of\n    ", P, " -> ", e(T, D, G3), "\n    catch ", Caught, " end"];
        3 -> ["try ", Try, "\n    catch ", Caught, "\n    after ", e(any, D, G), " end"];
        _ -> ["try ", Try, "\n    catch ", Caught, " end"]
    end.

raise(D, G) ->
    case rand:uniform(8) of
        1 -> ["throw(", e(any, D, G), ")"];
        2 -> ["exit(", e(any, D, G), ")"];
        3 -> ["error(", e(any, D, G), ")"];
        4 -> ["error(", e(any, D, G), ", ", e(list, D, G), ")"];
        5 -> ["erlang:raise(", pick(["error", "exit", "throw"]), ", ", e(any, D, G), ", [])"];
        _ -> e(any, D, G)
    end.

received(T, D, G) ->
    M = pick(types()),
    {P, G1} = pattern(M, 1, G),
    {R, _} = bind(any, G),
    {V, G3} = bind(T, G),
    case rand:uniform(5) of
        1 -> ["begin self() ! ", e(M, D, G), ", receive ", P, " ", guard(G1), "-> ", e(T, D, G1),
              " after 0 -> ", e(T, D, G), " end end"];
        2 -> ["begin self() ! {x, ", e(T, D, G), "}, receive {x, ", V, "} -> ", V, " end end"];
        3 -> ["receive ", P, " -> ", e(T, D, G1), " after ", pick(["0", "1", "0", "-1", "a"]),
              " -> ", e(T, D, G), " end"];
        4 -> ["begin ", R, " = make_ref(), self() ! {", R, ", ", e(T, D, G), "}, ", nl(),
              "receive {", R, ", ", V, "} -> ", e(T, D, G3), " end end"];
        5 ->
            {W, G4} = bind(any, G#g{weight = G#g.weight * 2}),
            ["begin {_, ", R, "} = spawn_monitor(fun() -> ", nl(), e(any, D, G4#g{vars = G#g.vars}),
             " end), receive {'DOWN', ", R, ", _, _, ", W, "} -> ",
             e(T, D, G4#g{vars = [{W, any} | G#g.vars]}), " end end"]
    end.

nested_fun(T, D, G) ->
    {F, _} = bind('fun', G),
    {X, G1} = bind(any, G),
    {Y, G2} = bind(any, G1),
    ["begin ", F, " = fun(", X, ", ", Y, ") when ", test(1, G2), " -> ", nl(), e(T, D, G2),
     pick(["", ["; (_, ", Y, ") -> ", e(T, D, G#g{vars = [{Y, any} | G#g.vars]})]]),
     " end, ", nl(), F, "(", commas([e(any, D, G) || _ <- pick([[1, 2], [1, 2], [1, 2], [1]])]),
     ") end"].

%% A call of an earlier function: local, by its module's name, by apply.
call(T, D, G) ->
    W = G#g.weight,
    case [F || {_, _, _, R, C} = F <- get(functions), fits(R, T), get(cost) + C * W < ?COST] of
        [] -> bif(T, D, G);
        Fs ->
            {Name, Kinds, Types, _, Cost} = pick(Fs),
            Args = [case K of
                        fuel -> integer_to_list(upto(3));
                        value -> [nl(), e(A, D - 1, G)]
                    end || {K, A} <- lists:zip(Kinds, Types)],
            put(cost, get(cost) + Cost * W),
            case rand:uniform(8) of
                1 -> ["?MODULE:", Name, "(", commas(Args), ")"];
                2 -> ["apply(?MODULE, ", Name, ", [", commas(Args), "])"];
                3 -> ["(fun ", Name, "/", integer_to_list(length(Args)), ")(", commas(Args), ")"];
                4 -> ["(element(1, {?MODULE, ", e(any, 0, G), "})):", Name, "(", commas(Args), ")"];
                _ -> [Name, "(", commas(Args), ")"]
            end
    end.

%% Functions of OTP: result, name, arguments.
bif(T, D, G) ->
    case [B || {R, _, _} = B <- bifs(), fits(R, T)] of
        [] ->
            form(T, D, G);
        Bifs ->
            {_, Name, Types} = pick(Bifs),
            put(cost, get(cost) + G#g.weight),
            [Name, "(", commas([e(A, D, G) || A <- Types]), ")"]
    end.

bifs() ->
    [{int, "abs", [int]}, {int, "length", [list]}, {int, "byte_size", [bits]},
     {int, "bit_size", [bits]}, {int, "tuple_size", [tuple]}, {int, "map_size", [map]},
     {int, "size", [tuple]}, {int, "trunc", [num]}, {int, "round", [num]},
     {int, "floor", [num]}, {int, "ceil", [num]}, {int, "binary:first", [bin]},
     {int, "lists:sum", [ints]}, {int, "erlang:phash2", [any]}, {int, "binary:at", [bin, int]},
     {int, "list_to_integer", [ints]}, {int, "binary_to_integer", [bin]},
     {int, "erlang:crc32", [bin]}, {int, "lists:max", [ints]}, {int, "string:length", [bin]},
     {num, "max", [num, num]}, {num, "min", [num, num]}, {num, "abs", [num]},
     {float, "float", [num]}, {float, "math:sqrt", [num]}, {float, "math:sin", [num]},
     {float, "math:pow", [num, num]}, {float, "math:exp", [num]},
     {float, "binary_to_float", [bin]},
     {atom, "list_to_existing_atom", [ints]}, {atom, "hd", [list]},
     {bool, "is_list", [any]}, {bool, "is_integer", [any]}, {bool, "is_function", [any, int]},
     {bool, "lists:member", [any, list]}, {bool, "maps:is_key", [any, map]},
     {bool, "is_map_key", [any, map]}, {bool, "is_bitstring", [any]},
     {bool, "lists:keymember", [any, int, list]},
     {list, "lists:reverse", [list]}, {list, "lists:reverse", [list, list]},
     {list, "tl", [list]}, {list, "tuple_to_list", [tuple]}, {list, "lists:sort", [list]},
     {list, "lists:usort", [list]}, {list, "lists:append", [list]},
     {list, "lists:keysort", [int, list]}, {list, "lists:flatten", [list]},
     {list, "lists:zip", [list, list]}, {list, "lists:sublist", [list, int]},
     {list, "lists:delete", [any, list]}, {list, "lists:map", ['fun', list]},
     {list, "lists:filter", ['fun', list]}, {list, "maps:keys", [map]},
     {list, "maps:values", [map]}, {list, "maps:to_list", [map]},
     {list, "lists:duplicate", [int, any]}, {list, "lists:nthtail", [int, list]},
     {list, "lists:keydelete", [any, int, list]}, {list, "binary:split", [bin, bin]},
     {list, "binary:matches", [bin, bin]},
     {ints, "binary_to_list", [bin]}, {ints, "integer_to_list", [int]},
     {ints, "atom_to_list", [atom]}, {ints, "float_to_list", [float]},
     {ints, "lists:seq", [int, int]}, {ints, "unicode:characters_to_list", [bin]},
     {ints, "integer_to_list", [int, int]}, {ints, "string:uppercase", [ints]},
     {tuple, "list_to_tuple", [list]}, {tuple, "setelement", [int, tuple, any]},
     {tuple, "erlang:append_element", [tuple, any]},
     {tuple, "erlang:delete_element", [int, tuple]},
     {tuple, "erlang:make_tuple", [int, any]}, {tuple, "lists:splitwith", ['fun', list]},
     {tuple, "lists:keyfind", [any, int, list]}, {tuple, "maps:take", [any, map]},
     {tuple, "erlang:insert_element", [int, tuple, any]},
     {bin, "list_to_binary", [ints]}, {bin, "atom_to_binary", [atom]},
     {bin, "integer_to_binary", [int]}, {bin, "float_to_binary", [float]},
     {bin, "binary:copy", [bin]}, {bin, "binary:part", [bin, int, int]},
     {bin, "iolist_to_binary", [list]}, {bin, "unicode:characters_to_binary", [list]},
     {bin, "binary:replace", [bin, bin, bin]}, {bin, "erlang:md5", [bin]},
     {bin, "binary_part", [bin, int, int]}, {bin, "binary:encode_unsigned", [int]},
     {bits, "list_to_bitstring", [list]},
     {map, "maps:put", [any, any, map]}, {map, "maps:merge", [map, map]},
     {map, "maps:remove", [any, map]}, {map, "maps:from_list", [list]},
     {map, "maps:map", ['fun', map]}, {map, "maps:update", [any, any, map]},
     {map, "maps:with", [list, map]}, {map, "maps:filter", ['fun', map]},
     {any, "element", [int, tuple]}, {any, "hd", [list]}, {any, "lists:nth", [int, list]},
     {any, "maps:get", [any, map]}, {any, "maps:get", [any, map, any]},
     {any, "maps:find", [any, map]}, {any, "apply", ['fun', list]},
     {any, "lists:foldl", ['fun', any, list]}, {any, "lists:last", [list]},
     {any, "binary_to_term", [bin]}, {any, "lists:foreach", ['fun', list]},
     {any, "maps:fold", ['fun', any, map]}, {any, "erlang:fun_info", ['fun', atom]}].

%% What only a type has.
form(int, D, G) ->
    A = e(int, D, G),
    B = e(int, D, G),
    case rand:uniform(7) of
        1 -> ["(", A, pick([" + ", " - "]), B, ")"];
        2 -> ["(", A, " * (", B, " band 16#fffffffffff))"];
        3 -> ["(", A, pick([" div ", " rem "]), B, ")"];
        4 -> ["(", A, pick([" band ", " bor ", " bxor "]), B, ")"];
        5 -> ["(", A, pick([" bsl ", " bsr "]), "(", B, " band ", pick(["7", "63"]), "))"];
        6 -> [pick(["(- ", "(bnot ", "(+ "]), A, ")"];
        7 -> ["(", A, pick([" + ", " - ", " * "]), pick(["1", "2", "-1", "255"]), ")"]
    end;
form(float, D, G) ->
    case rand:uniform(4) of
        1 -> ["(- ", e(float, D, G), ")"];
        2 -> ["(", e(float, D, G), pick([" + ", " - ", " * ", " / "]), e(num, D, G), " + ",
              e(float, D, G), pick([" / ", " * "]), float_literal(), ")"];
        _ -> ["(", e(float, D, G), pick([" + ", " - ", " * ", " / "]), e(float, D, G), ")"]
    end;
form(num, D, G) ->
    ["(", e(num, D, G), pick([" + ", " - ", " / "]), e(num, D, G), ")"];
form(bool, D, G) ->
    case rand:uniform(6) of
        6 -> ["(maps:get(", pick(["1", "7", "a", "41"]), ", ", many(e(any, D, G)), ") =:= ",
              e(any, D, G), ")"];
        1 -> ["(", e(bool, D, G), pick([" and ", " or ", " xor ", " andalso ", " orelse "]),
              e(bool, D, G), ")"];
        2 -> ["(not ", e(bool, D, G), ")"];
        3 -> ["(", e(any, D, G), pick([" == ", " /= ", " =:= ", " =/= ", " < ", " >= ", " =< "]),
              e(any, D, G), ")"];
        4 ->
            T = pick(types()),
            ["(", e(T, D, G), pick([" == ", " =:= ", " =/= ", " < ", " >= "]), e(T, D, G), ")"];
        5 -> ["(", test(2, G), ")"]
    end;
form(atom, D, G) -> e(bool, D, G);
form(list, D, G) ->
    case rand:uniform(6) of
        1 -> ["[", commas(some(0, 4, fun() -> e(any, D, G) end)), "]"];
        2 -> ["[", e(any, D, G), " | ", e(list, D, G), "]"];
        3 -> ["(", e(list, D, G), pick([" ++ ", " -- "]), e(list, D, G), ")"];
        4 -> ["[", commas(some(1, 3, fun() -> e(any, D, G) end)), " | ", e(any, D, G), "]"];
        _ -> comprehension("[", "]", fun(G1) -> e(any, D, G1) end, D, G)
    end;
form(ints, D, G) ->
    case rand:uniform(4) of
        1 -> ["[", commas(some(0, 4, fun() -> e(int, D, G) end)), "]"];
        2 -> ["[", e(int, D, G), " | ", e(ints, D, G), "]"];
        3 -> ["(", e(ints, D, G), pick([" ++ ", " -- "]), e(ints, D, G), ")"];
        4 -> comprehension("[", "]", fun(G1) -> e(int, D, G1) end, D, G)
    end;
form(tuple, D, G) ->
    ["{", commas(some(0, 5, fun() -> e(any, D, G) end)), "}"];
form(rec, D, G) ->
    case rand:uniform(4) of
        4 -> ["(#l{f = ", e(any, D, G), "})#l{a = ", e(any, D, G), ", e = ", e(any, D, G), ", g = ",
              e(any, D, G), "}"];
        1 -> ["#r{a = ", e(any, D, G), pick(["", [", c = ", e(any, D, G)]]), "}"];
        2 -> ["(", e(rec, D, G), ")#r{b = ", e(any, D, G), "}"];
        3 -> ["(", e(rec, D, G), ")#", pick(["r", "r", "l"]), "{a = ", e(any, D, G), ", b = ", e(any, D, G), ", c = ",
              e(any, D, G), "}"]
    end;
form(map, D, G) ->
    case rand:uniform(5) of
        1 -> ["#{", commas(some(0, 4, fun() -> [e(any, D, G), " => ", e(any, D, G)] end)), "}"];
        2 -> ["(", e(map, D, G), ")#{", key_literal(), " => ", e(any, D, G), "}"];
        3 -> ["(", e(map, D, G), ")#{", key_literal(), " := ", e(any, D, G), "}"];
        4 -> ["(", e(map, D, G), ")#{", e(any, D, G), " => ", e(any, D, G), ", ", key_literal(),
              " => ", e(any, D, G), "}"];
        5 -> ["(#{", key_literal(), " => ", e(any, D, G), "})#{", key_literal(), " := ",
              e(any, D, G), "}"]
    end;
form(T, D, G) when T =:= bin; T =:= bits ->
    case rand:uniform(6) of
        1 -> comprehension("<<", ">>", fun(G1) -> ["<<", commas(segments(T, 1, D, G1)), ">>"] end,
                           D, G);
        2 -> ["<<(", e(T, D, G), ")/", unit(T), ", ", commas(segments(T, rand:uniform(2), D, G)), ">>"];
        _ -> ["<<", commas(segments(T, upto(4), D, G)), ">>"]
    end;
form('fun', D, G) ->
    Types = [pick(types()) || _ <- pick([[1], [1], [1, 2], []])],
    {Vs, G1} = binds(Types, G),
    ["fun(", commas(Vs), ") -> ", nl(), e(any, D, G1), " end"];
form(any, D, G) ->
    case rand:uniform(6) of
        1 -> ["(", e(rec, D, G), ")#r.", pick(["a", "b", "c"])];
        2 -> ["(begin ", e('fun', D, G), " end)(", e(any, D, G), ")"];
        3 -> ["element(", pick(["1", "2", "3"]), ", ", e(tuple, D, G), ")"];
        _ -> e(pick(types() -- [any]), D, G)
    end.

%% A map with more keys than a flat one has. Their order is OTP's own business, so
%% no expression may show it.
many(Value) ->
    ["(maps:from_list([{I, I} || I <- lists:seq(1, 40)]))#{", pick(["7", "a"]), " => ", Value, "}"].

unit(bin) -> "binary";
unit(bits) -> "bits".

%% Segments that add up to bytes when T is bin.
segments(T, N, D, G) -> [segment(T, D, G) || _ <- lists:seq(1, N)].

segment(T, D, G) ->
    I = ["(", e(int, D, G), ")"],
    F = ["(", e(num, D, G), ")"],
    case rand:uniform(16) of
        1 -> [I, pick([":16", ":32/little", ":64", ":24", ":128/little", ":8/signed"])];
        2 -> [I, pick(["/utf8", "/utf16", "/utf32", "/utf16-little"])];
        3 -> [F, pick(["/float", ":32/float", ":64/float-little", ":16/float"])];
        4 -> ["(", e(bin, D, G), ")/binary"];
        5 -> ["(", e(bin, D, G), "):", pick(["1", "2", ["(", e(int, D, G), " rem 40)"]]), "/binary"];
        6 -> [I, ":(8 * (", e(int, D, G), " band 15))"];
        7 -> pick(["\"str\"", "\"\\x{e5}\"/utf8"]);
        8 -> [I, ":(", e(int, D, G), " band 31)/unit:8"];
        9 when T =:= bits -> [I, pick([":1", ":5", ":13/little", ":67"])];
        10 when T =:= bits -> ["(", e(bits, D, G), ")/bits"];
        11 when T =:= bits -> ["(", e(bits, D, G), "):", pick(["3", "9"]), "/bits"];
        12 -> [F, ":(32 * (1 + (", e(int, D, G), " band 1)))/float"];
        _ -> I
    end.

comprehension(Open, Close, Body, D, G) ->
    {Generators, G1} = generators(rand:uniform(2), D, G),
    [Open, " ", Body(G1), " ||", nl(), " ", commas(Generators), " ", Close].

generators(0, _, G) -> {[], G};
generators(N, D, G) ->
    {Text, G1} = case rand:uniform(5) of
        1 ->
            E = e(bits, D, G),
            {S, T, _} = segment_pattern(G),
            {V, G2} = bind(T, G),
            {["<<", V, S, ">> <= ", E], G2};
        2 ->
            E = e(list, D, G),
            {P, G2} = pattern(any, 1, G),
            {[P, " <- ", E], G2};
        3 ->
            E = e(list, D, G),
            {V, G2} = bind(any, G),
            {[V, " <- ", E, ", ", test(2, G2)], G2};
        _ ->
            E = e(ints, D, G),
            {V, G2} = bind(int, G),
            {[V, " <- ", E], G2}
    end,
    {More, G3} = generators(N - 1, D, G1#g{weight = 5 * G1#g.weight}),
    {[Text | More], G3}.
