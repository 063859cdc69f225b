%% op_old - what op_old_code.S has: instructions that only old compilers emit.
-module(op_old).
-include("test.hrl").
-export([main/0]).

main() ->
    T = list_to_tuple([a, b, c, d]),
    ?is({first, x, y, d}, op_old_code:update(T, x, y)),
    ?is({a, b, c, d}, T),
    ?raises({error, badarg}, op_old_code:update({}, x, y)),
    ?is(<<1, 2, 3, 4>>, op_old_code:bytes(258, <<3, 4>>)),
    ?is(<<0, 1>>, op_old_code:bytes(1, <<>>)),
    Big = binary:copy(<<7>>, 1000),
    ?is(<<255, 255, Big/binary>>, op_old_code:bytes(-1, Big)),
    ?raises({error, badarg}, op_old_code:bytes(a, <<>>)),
    ?raises({error, badarg}, op_old_code:bytes(1, a)),
    ?is(yes, op_old_code:differ(1, 2)),
    ?is(no, op_old_code:differ(1, 1.0)),
    ?is(no, op_old_code:differ({a, 1.0}, {a, 1})),
    ?is([yes, yes, yes, no, no],
        [op_old_code:number(N) || N <- [1, 1 bsl 100, 1.5, a, <<"1">>]]),
    ?is(2.5, op_old_code:divide(5, 2)),
    ?is(1.0e20, op_old_code:divide(100000000000000000000, 1)),
    ?raises({error, badarith}, op_old_code:divide(1.0, 0)),
    ?raises({error, badarith}, op_old_code:divide(a, 1)),
    ?is({[z], [z]}, op_old_code:zeroed([z])).
