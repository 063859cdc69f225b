%% Ten programs bound by generated code, and by the collector (trees).
-module(bench_ten).
-export([names/0, program/1]).

names() -> [fib, nrev, tak, trees, funs, tuples, nbody, bytes, utf8, gcd].

program(fib) -> {fun() -> 29 end, fun fib/1};
program(nrev) -> {fun() -> lists:seq(1, 30) end, fun(L) -> times(12000, fun() -> nrev(L) end) end};
program(tak) -> {fun() -> ok end, fun(_) -> tak(22, 15, 7) end};
program(trees) -> {fun() -> 17 end, fun(D) -> check(make(D)) end};
program(funs) -> {fun() -> lists:seq(1, 1000) end, fun(L) -> times(600, fun() -> map_sum(L, 3) end) end};
program(tuples) -> {fun() -> {1, 2, 3, 4, 5, 6} end, fun(T) -> tuples(300000, T) end};
program(nbody) -> {fun() -> 150000 end,
                   fun(N) -> nbody(N, 0.0, 0.0, 0.0, 1.0, 0.5, 0.25, 0.01, 0.02, 0.03) end};
program(bytes) -> {fun() -> binary:copy(<<1, 2, 3, 250>>, 262144) end, fun(B) -> bytes(B, 0) end};
program(utf8) -> {fun() -> binary:copy(<<"ab", 16#e5/utf8, "c", 16#20ac/utf8>>, 65536) end,
                  fun(B) -> utf8(B, 0) end};
program(gcd) -> {fun() -> 80000 end, fun(N) -> gcds(N, 123456789, 0) end}.

times(0, _) -> ok;
times(N, F) -> F(), times(N - 1, F).

fib(N) when N < 2 -> N;
fib(N) -> fib(N - 1) + fib(N - 2).

nrev([H | T]) -> app(nrev(T), [H]);
nrev([]) -> [].
app([H | T], L) -> [H | app(T, L)];
app([], L) -> L.

tak(X, Y, Z) when Y < X -> tak(tak(X - 1, Y, Z), tak(Y - 1, Z, X), tak(Z - 1, X, Y));
tak(_, _, Z) -> Z.

make(0) -> {nil, nil};
make(D) -> {make(D - 1), make(D - 1)}.
check({nil, nil}) -> 1;
check({L, R}) -> check(L) + check(R) + 1.

map_sum(L, K) -> foldl(fun(X, A) -> X + A end, 0, map(fun(X) -> X + K end, L)).
map(F, [H | T]) -> [F(H) | map(F, T)];
map(_, []) -> [].
foldl(F, A, [H | T]) -> foldl(F, F(H, A), T);
foldl(_, A, []) -> A.

tuples(0, T) -> T;
tuples(N, T) ->
    I = N rem 6 + 1,
    tuples(N - 1, setelement(I, T, (element(I, T) + element(3, T)) band 65535)).

nbody(0, X, _, _, _, _, _, _, _, _) -> X;
nbody(N, X, Y, Z, X2, Y2, Z2, VX, VY, VZ) when is_float(X), is_float(Y), is_float(Z) ->
    DX = X - X2, DY = Y - Y2, DZ = Z - Z2,
    D2 = DX * DX + DY * DY + DZ * DZ + 0.01,
    Mag = 0.001 / (D2 * D2),
    VX1 = VX - DX * Mag, VY1 = VY - DY * Mag, VZ1 = VZ - DZ * Mag,
    nbody(N - 1, X + 0.001 * VX1, Y + 0.001 * VY1, Z + 0.001 * VZ1, X2, Y2, Z2, VX1, VY1, VZ1).

bytes(<<X, R/binary>>, A) -> bytes(R, A + X);
bytes(<<>>, A) -> A.

utf8(<<C/utf8, R/binary>>, A) -> utf8(R, A + C);
utf8(<<>>, A) -> A.

gcds(0, _, S) -> S;
gcds(N, M, S) -> gcds(N - 1, M, S + gcd(N, M)).
gcd(A, 0) -> A;
gcd(A, B) -> gcd(B, A rem B).
