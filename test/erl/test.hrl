%% test.hrl - what behaviour tests are written with.
%%
%% A test module exports main/0 and is run by test:run/1 in a process of its
%% own, on stock OTP first, then on ling, then in an image. A line that fails is
%% told with both terms, and the module goes on.

%% Expr gives exactly (=:=) Expected.
-define(is(Expected, Expr), test:is(?MODULE, ?LINE, Expected, fun() -> Expr end)).

%% Expr raises what matches {Class, Reason}.
-define(raises(Pattern, Expr),
        test:raised(?MODULE, ?LINE, ??Pattern,
                    fun(E__) -> case E__ of Pattern -> true; _ -> false end end,
                    fun() -> Expr end)).

%% Expr gives what matches Pattern.
-define(matches(Pattern, Expr),
        test:matched(?MODULE, ?LINE, ??Pattern,
                     fun(E__) -> case E__ of Pattern -> true; _ -> false end end,
                     fun() -> Expr end)).
