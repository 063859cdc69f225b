%% binary: match, matches, split, replace, compiled patterns.
-module(binary_search).
-export([main/0]).
-include("test.hrl").

main() ->
    match(),
    matches(),
    split(),
    compiled(),
    scopes(),
    errors(),
    random().

match() ->
    ?is({0, 1}, binary:match(<<"abcab">>, <<"a">>)),
    ?is({1, 2}, binary:match(<<"abcab">>, <<"bc">>)),
    ?is(nomatch, binary:match(<<"abcab">>, <<"x">>)),
    ?is(nomatch, binary:match(<<>>, <<"x">>)),
    ?is(nomatch, binary:match(<<"ab">>, <<"abc">>)),
    %% Leftmost, then longest.
    ?is({0, 5}, binary:match(<<"abcde">>, [<<"bcde">>, <<"cd">>, <<"abcde">>])),
    ?is({1, 4}, binary:match(<<"abcde">>, [<<"bcde">>, <<"cd">>])),
    ?is({1, 4}, binary:match(<<"abcde">>, [<<"bc">>, <<"bcde">>, <<"bcd">>])),
    ?is({1, 3}, binary:match(<<"abcdx">>, [<<"bc">>, <<"bcde">>, <<"bcd">>])),
    ?is({2, 2}, binary:match(<<"xxab">>, [<<"ab">>])),
    <<_:3, U/binary>> = <<0:3, "hello world">>,
    ?is({6, 5}, binary:match(U, <<"world">>)),
    ?is({6, 5}, binary:match(U, [<<"world">>, <<"xyz">>])),
    %% Nothing to look in: the pattern is not looked at.
    ?is(nomatch, binary:match(<<>>, no_pattern)).

matches() ->
    ?is([{0, 1}, {3, 1}], binary:matches(<<"abcab">>, <<"a">>)),
    ?is([], binary:matches(<<"abcab">>, <<"x">>)),
    ?is([{0, 2}, {2, 2}], binary:matches(<<"aaaaa">>, <<"aa">>)),
    ?is([{0, 3}, {3, 2}], binary:matches(<<"aaaaa">>, [<<"aa">>, <<"aaa">>])),
    ?is([{0, 4}], binary:matches(<<"abcde">>, [<<"bcde">>, <<"bc">>, <<"abcd">>, <<"de">>])),
    ?is([{0, 2}, {2, 3}], binary:matches(<<"abcde">>, [<<"ab">>, <<"cde">>, <<"bc">>])),
    ?is([{N, 1} || N <- lists:seq(0, 999)],
        binary:matches(binary:copy(<<"a">>, 1000), <<"a">>)),
    ?is([{1, 2}, {5, 2}], binary:matches(<<"xabxxabx">>, [<<"ab">>, <<"abz">>])).

split() ->
    ?is([<<"a">>, <<"b,c">>], binary:split(<<"a,b,c">>, <<",">>)),
    ?is([<<"a">>, <<"b">>, <<"c">>], binary:split(<<"a,b,c">>, <<",">>, [global])),
    ?is([<<"a">>], binary:split(<<"a">>, <<",">>)),
    ?is([<<>>], binary:split(<<>>, <<",">>)),
    ?is([], binary:split(<<>>, <<",">>, [trim])),
    ?is([], binary:split(<<>>, <<",">>, [global, trim_all])),
    ?is([<<>>, <<>>], binary:split(<<",">>, <<",">>)),
    ?is([], binary:split(<<",">>, <<",">>, [trim])),
    ?is([<<"a">>], binary:split(<<"a,">>, <<",">>, [trim])),
    ?is([<<>>, <<"a">>], binary:split(<<",a">>, <<",">>, [trim])),
    ?is([<<"a">>], binary:split(<<",a">>, <<",">>, [trim_all])),
    ?is([<<>>, <<>>, <<"a">>, <<>>, <<>>], binary:split(<<",,a,,">>, <<",">>, [global])),
    ?is([<<>>, <<>>, <<"a">>], binary:split(<<",,a,,">>, <<",">>, [global, trim])),
    ?is([<<"a">>], binary:split(<<",,a,,">>, <<",">>, [global, trim_all])),
    ?is([], binary:split(<<",,,">>, <<",">>, [global, trim])),
    ?is([<<"a">>, <<"b">>, <<"c">>], binary:split(<<"a, b,c">>, [<<",">>, <<", ">>], [global])),
    ?is([<<"a,b">>, <<"c">>], binary:split(<<"a,b,c">>, <<",">>, [{scope, {2, 3}}])),
    L = [integer_to_binary(I) || I <- lists:seq(1, 20000)],
    ?is(L, binary:split(iolist_to_binary(lists:join($;, L)), <<";">>, [global])),
    ?is(<<"a-b-c">>, binary:replace(<<"a,b,c">>, <<",">>, <<"-">>, [global])),
    ?is(<<"a[,]b">>, binary:replace(<<"a,b">>, <<",">>, <<"[]">>, [{insert_replaced, 1}])).

compiled() ->
    P = binary:compile_pattern(<<"ab">>),
    ?matches({bm, R} when is_reference(R), P),
    ?is({2, 2}, binary:match(<<"xxab">>, P)),
    Q = binary:compile_pattern([<<"ab">>, <<"cd">>]),
    ?matches({ac, R} when is_reference(R), Q),
    ?is([{0, 2}, {2, 2}], binary:matches(<<"cdab">>, Q)),
    ?matches({bm, _}, binary:compile_pattern([<<"ab">>])),
    ?raises({error, badarg}, binary:match(<<"x">>, {ac, element(2, P)})),
    ?raises({error, badarg}, binary:match(<<"x">>, {bm, make_ref()})),
    ?raises({error, badarg}, binary:match(<<"x">>, {foo, element(2, P)})),
    Self = self(),
    spawn(fun() -> Self ! binary:split(<<"1ab2">>, P) end),
    ?is([<<"1">>, <<"2">>], receive X -> X end),
    erlang:garbage_collect(),
    ?is({2, 2}, binary:match(<<"xxab">>, P)).

scopes() ->
    B = <<"abcabc">>,
    ?is({3, 1}, binary:match(B, <<"a">>, [{scope, {1, 5}}])),
    ?is(nomatch, binary:match(B, <<"a">>, [{scope, {1, 2}}])),
    ?is({3, 1}, binary:match(B, <<"a">>, [{scope, {6, -5}}])),
    ?is([{1, 1}], binary:matches(B, <<"b">>, [{scope, {0, 3}}])),
    ?is(nomatch, binary:match(B, <<"a">>, [{scope, {6, 0}}])),
    ?is({0, 1}, binary:match(B, <<"a">>, [{scope, {1, 1}}, {scope, {0, 1}}])),
    [?raises({error, badarg}, binary:match(B, <<"a">>, [{scope, S}]))
     || S <- [{0, 7}, {7, 0}, {-1, 1}, {0, -1}, {1, -2}, {a, 1}, {0, b}, {1 bsl 64, 0},
              {0, 1 bsl 64}, {0, -(1 bsl 63)}, foo, {1}]].

errors() ->
    [?raises({error, badarg}, binary:match(S, P))
     || {S, P} <- [{foo, <<"a">>}, {<<1:1>>, <<"a">>}, {<<"a">>, <<>>}, {<<"a">>, []},
                   {<<"a">>, [<<>>]}, {<<"a">>, [<<"b">>, <<>>]}, {<<"a">>, [<<"b">> | <<"c">>]},
                   {<<"a">>, <<1:1>>}, {<<"a">>, [<<"b">>, foo]}, {<<"a">>, "b"}]],
    ?raises({error, badarg}, binary:match(<<"a">>, <<"a">>, foo)),
    ?raises({error, badarg}, binary:match(<<"a">>, <<"a">>, [global])),
    ?raises({error, badarg}, binary:split(<<"a">>, <<"a">>, [foo])),
    ?raises({error, badarg}, binary:split(<<"a">>, <<"a">>, foo)),
    ?raises({error, badarg}, binary:compile_pattern(foo)).

%% Against the plain way of doing it.
random() ->
    rand:seed(exsss, {1, 2, 3}),
    [begin
         S = word(rand:uniform(60)),
         Ps = [word(rand:uniform(4)) || _ <- lists:seq(1, rand:uniform(4))],
         ?is(slow(S, Ps, 0), binary:matches(S, Ps)),
         ?is(case slow(S, Ps, 0) of [] -> nomatch; [F | _] -> F end, binary:match(S, Ps))
     end || _ <- lists:seq(1, 300)].

word(N) -> << <<($a + rand:uniform(3))>> || _ <- lists:seq(1, N) >>.

slow(S, _, I) when I >= byte_size(S) -> [];
slow(S, Ps, I) ->
    <<_:I/binary, T/binary>> = S,
    case lists:max([0 | [byte_size(P) || P <- Ps, byte_size(P) =< byte_size(T),
                                         binary:part(T, 0, byte_size(P)) =:= P]]) of
        0 -> slow(S, Ps, I + 1);
        N -> [{I, N} | slow(S, Ps, I + N)]
    end.
