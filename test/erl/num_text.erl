%% Integers, atoms, pids, ports and references from and to text.
-module(num_text).
-export([main/0, id/1]).
-include("test.hrl").

main() ->
    to_text(),
    from_text(),
    prefix(),
    atoms(),
    idents().

to_text() ->
    ?is("0", integer_to_list(id(0))),
    ?is("-576460752303423488", integer_to_list(id(-1 bsl 59))),
    ?is("576460752303423488", integer_to_list(id(1 bsl 59))),
    ?is("18446744073709551616", integer_to_list(id(1 bsl 64))),
    ?is("-340282366920938463463374607431768211456", integer_to_list(id(-1 bsl 128))),
    ?is("10000000000000000000", integer_to_list(id(10000000000000000000))),
    ?is("99999999999999999999999999999999999999",
        integer_to_list(id(99999999999999999999999999999999999999))),
    ?is("100000000000000000000000000000000000000",
        integer_to_list(id(100000000000000000000000000000000000000))),
    ?is("-1" ++ lists:duplicate(64, $0), integer_to_list(id(-1 bsl 64), 2)),
    ?is("1" ++ lists:duplicate(59, $0), integer_to_list(id(1 bsl 59), 2)),
    ?is("-" ++ "1" ++ lists:duplicate(59, $0), integer_to_list(id(-1 bsl 59), 2)),
    ?is("DEADBEEFDEADBEEFDEADBEEF", integer_to_list(id(16#deadbeefdeadbeefdeadbeef), 16)),
    ?is("HELLO0WORLD1PLUS", integer_to_list(id(36#hello0world1plus), 36)),
    ?is(<<"7777777777777777777777777">>, integer_to_binary(id((1 bsl 75) - 1), 8)),
    ?is(<<"-12345678901234567890123">>, integer_to_binary(id(-12345678901234567890123))),
    %% 10^N and its neighbours: the zeros in the middle, at every length.
    [begin
         P = power(10, N, 1),
         ?is([$1 | lists:duplicate(N, $0)], integer_to_list(P)),
         ?is(lists:duplicate(N, $9), integer_to_list(P - 1)),
         ?is(P, list_to_integer([$1 | lists:duplicate(N, $0)])),
         ?is(P + 1, binary_to_integer(integer_to_binary(P + 1))),
         ?is(-P, list_to_integer(integer_to_list(-P)))
     end || N <- lists:seq(1, 60) ++ [75, 76, 77, 512, 759, 760, 761, 1520, 1521, 6080]],
    [begin
         P = power(B, N, 1),
         ?is([$1 | lists:duplicate(N, $0)], integer_to_list(P, B)),
         ?is(P, list_to_integer([$1 | lists:duplicate(N, $0)], B)),
         D = lists:last(integer_to_list(B - 1, 36)),
         ?is(lists:duplicate(N, D), integer_to_list(P - 1, B)),
         ?is(P - 1, list_to_integer(string:lowercase(lists:duplicate(N, D)), B))
     end || B <- lists:seq(2, 36), N <- [1, 10, 40, 64, 65, 700]],
    [?raises({error, badarg}, integer_to_list(id(X))) || X <- [a, 1.0, [], <<>>]],
    [?raises({error, badarg}, integer_to_binary(id(X))) || X <- [a, 1.0, [], <<>>]],
    [begin
         ?raises({error, badarg}, integer_to_list(id(10), id(B))),
         ?raises({error, badarg}, integer_to_binary(id(10), id(B))),
         ?raises({error, badarg}, list_to_integer("1", id(B))),
         ?raises({error, badarg}, binary_to_integer(<<"1">>, id(B)))
     end || B <- [0, 1, 37, -10, a, 10.0, 1 bsl 70]].

from_text() ->
    ?is(0, list_to_integer("-0")),
    ?is(12, list_to_integer("+12")),
    ?is(-12, list_to_integer("-000000000000000000000000000000000000000012")),
    ?is(576460752303423487, list_to_integer("576460752303423487")),
    ?is(576460752303423488, list_to_integer("576460752303423488")),
    ?is(-576460752303423488, binary_to_integer(<<"-576460752303423488">>)),
    ?is(-576460752303423489, binary_to_integer(<<"-576460752303423489">>)),
    ?is(18446744073709551615, binary_to_integer(<<"18446744073709551615">>)),
    ?is(18446744073709551616, binary_to_integer(<<"18446744073709551616">>)),
    ?is(0, binary_to_integer(list_to_binary(lists:duplicate(5000, $0)))),
    ?is(255, binary_to_integer(<<"fF">>, 16)),
    ?is(35, list_to_integer("z", 36)),
    [begin
         ?raises({error, badarg}, list_to_integer(S)),
         ?raises({error, badarg}, binary_to_integer(list_to_binary(S)))
     end || S <- ["", "-", "+", "--1", "+-1", "1a", "a1", " 1", "1 ", "1.0", "1-",
                  lists:duplicate(100, $1) ++ "x", "x" ++ lists:duplicate(100, $1)]],
    ?raises({error, badarg}, list_to_integer("12", id(2))),
    ?raises({error, badarg}, list_to_integer("g", id(16))),
    ?raises({error, badarg}, list_to_integer(id(a))),
    ?raises({error, badarg}, list_to_integer(id("1" ++ a))),
    ?raises({error, badarg}, list_to_integer(id([a]))),
    ?raises({error, badarg}, list_to_integer(id([$1, $2, []]))),
    ?raises({error, badarg}, binary_to_integer(id("12"))),
    ?raises({error, badarg}, binary_to_integer(id(<<"1", 0:1>>))),
    <<_:5, B:4/binary, _:3>> = id(<<0:5, "1234", 0:3>>),
    ?is(1234, binary_to_integer(B)),
    ?is(16#1234, binary_to_integer(B, 16)).

%% string:to_integer/1 is what list_to_integer/1 of string is for.
prefix() ->
    [?is(R, string:to_integer(S))
     || {S, R} <- [{"12abc", {12, "abc"}}, {"-12", {-12, ""}}, {"+12 ", {12, " "}},
                   {"", {error, no_integer}}, {"abc", {error, no_integer}},
                   {"-", {error, no_integer}}, {"+-1", {error, no_integer}},
                   {"1234567890123456789012345 x", {1234567890123456789012345, " x"}}]],
    ?is({12, [a]}, string:list_to_integer([$1, $2, a])),
    ?is({12, a}, string:list_to_integer([$1, $2 | a])),
    ?is({error, no_integer}, string:list_to_integer([a])),
    ?is({error, no_integer}, string:list_to_integer([$- | a])),
    ?is({error, not_a_list}, string:list_to_integer(a)).

atoms() ->
    ?is("abc", atom_to_list(abc)),
    ?is("", atom_to_list('')),
    ?is([229, 228, 246], atom_to_list(list_to_atom([229, 228, 246]))),
    Wide = list_to_atom([1024, $a, 16#1f600, 8364]),
    ?is([1024, $a, 16#1f600, 8364], atom_to_list(Wide)),
    ?is(<<1024/utf8, $a, 16#1f600/utf8, 8364/utf8>>, atom_to_binary(Wide, utf8)),
    ?is(<<1024/utf8, $a, 16#1f600/utf8, 8364/utf8>>, atom_to_binary(Wide)),
    ?raises({error, badarg}, atom_to_binary(Wide, id(latin1))),
    ?is(<<229, $x>>, atom_to_binary(list_to_atom([229, $x]), latin1)),
    ?is(<<229/utf8, $x>>, atom_to_binary(list_to_atom([229, $x]), unicode)),
    ?is(Wide, binary_to_atom(<<1024/utf8, $a, 16#1f600/utf8, 8364/utf8>>, utf8)),
    ?is(Wide, binary_to_existing_atom(<<1024/utf8, $a, 16#1f600/utf8, 8364/utf8>>)),
    ?is(true, binary_to_atom(<<229, $x>>, latin1) =:= list_to_atom([229, $x])),
    ?is('', binary_to_atom(<<>>)),
    <<_:1, Odd:3/binary, _:7>> = id(<<0:1, "odd", 0:7>>),
    ?is(odd, binary_to_atom(Odd)),

    %% 255 characters, however many bytes.
    Full = lists:duplicate(255, 16#1f600),
    ?is(Full, atom_to_list(list_to_atom(Full))),
    ?is(Full, atom_to_list(binary_to_atom(unicode:characters_to_binary(Full)))),
    ?raises({error, system_limit}, list_to_atom([$a | Full])),
    ?raises({error, system_limit}, list_to_atom(Full ++ [foo])),
    ?raises({error, badarg}, list_to_atom(tl(Full) ++ [foo])),
    ?raises({error, badarg}, list_to_existing_atom([$a | Full])),
    ?raises({error, system_limit}, binary_to_atom(binary:copy(<<$a>>, 256))),
    ?raises({error, system_limit}, binary_to_atom(binary:copy(<<$a>>, 256), latin1)),
    ?raises({error, badarg}, binary_to_existing_atom(binary:copy(<<$a>>, 256))),
    ?raises({error, system_limit}, binary_to_atom(binary:copy(<<$a>>, 5000), utf8)),

    ?raises({error, badarg}, list_to_existing_atom("no such " ++ "atom yet")),
    ?raises({error, badarg}, binary_to_existing_atom(<<"no such atom yet">>, latin1)),
    [?raises({error, badarg}, list_to_atom(id(L)))
     || L <- [a, [a], "a" ++ b, [-1], [16#d800], [16#110000], [1 bsl 70], <<"a">>]],
    [?raises({error, badarg}, binary_to_atom(id(B), utf8))
     || B <- [a, <<255>>, <<16#c0, 16#80>>, <<16#ed, 16#a0, 16#80>>, <<16#e2, 16#82>>,
              <<1:1>>, "a"]],
    [?raises({error, badarg}, binary_to_atom(<<"a">>, id(E)))
     || E <- [foo, 1, <<"utf8">>]],
    ?raises({error, badarg}, atom_to_binary(abc, id(foo))),
    ?raises({error, badarg}, atom_to_binary(id("abc"))),
    ?raises({error, badarg}, atom_to_list(id("abc"))).

idents() ->
    Self = self(),
    ?is(Self, list_to_pid(pid_to_list(Self))),
    ?is("<0.1.2>", pid_to_list(list_to_pid("<0.1.2>"))),
    ?is("<0.32767.8191>", pid_to_list(list_to_pid("<0.32767.8191>"))),
    [?raises({error, badarg}, list_to_pid(id(S)))
     || S <- ["", "<0.1>", "<0.1.2", "0.1.2>", "<0.1.2> ", "<0.1.2.3>", "<0..2>",
              "<0.1.-2>", "<0.268435456.0>", "<0.0.8192>", "<4000000000.1.2>", a, [a],
              "<0.1.2>" ++ a, lists:duplicate(1000, $<),
              "<0.99999999999999999999999999.0>"]],
    Port = list_to_port("#Port<0.1234>"),
    ?is("#Port<0.1234>", port_to_list(Port)),
    ?is(true, is_port(Port)),
    [?raises({error, badarg}, list_to_port(id(S)))
     || S <- ["", "#Port<0.>", "#Port<0.1", "#Port<0.1>x", "#Port<1>", "Port<0.1>", a]],
    Ref = make_ref(),
    ?is(true, Ref =:= list_to_ref(ref_to_list(Ref))),
    ?is(true, #{Ref => 1} =:= #{list_to_ref(ref_to_list(Ref)) => 1}),
    [?raises({error, badarg}, list_to_ref(id(S)))
     || S <- ["", "#Ref<0.1.2>", "#Ref<0.1.2.3.4.5.6>", "#Ref<0.1.2.3", "#Ref<0.1.2.3>x",
              "#Ref<0.0.0.262144>", "#Ref<0.4294967296.0.0>", a, Ref]],
    ?raises({error, badarg}, pid_to_list(id(Ref))),
    ?raises({error, badarg}, ref_to_list(id(Self))),
    ?raises({error, badarg}, port_to_list(id(Self))).

power(_, 0, Acc) -> Acc;
power(B, N, Acc) -> power(B, N - 1, B * Acc).

%% Exported, so that the compiler knows nothing of its argument.
id(X) -> X.
