%% op_old_code - instructions that OTP 22 to 24 emit and no compiler of today
%% does, or only rarely: assembled as they are. op_old tests them.
{module, op_old_code}.
{exports, [{update,3},{bytes,2},{differ,2},{number,1},{divide,2},{zeroed,1}]}.
{attributes, []}.
{labels, 18}.

%% Two setelement/3 in a row: the copy that the first made is written to.
{function, update, 3, 2}.
  {label,1}.
    {func_info,{atom,op_old_code},{atom,update},3}.
  {label,2}.
    {allocate,2,3}.
    {move,{x,1},{y,0}}.
    {move,{x,2},{y,1}}.
    {move,{x,0},{x,1}}.
    {move,{integer,2},{x,0}}.
    {move,{y,0},{x,2}}.
    {call_ext,3,{extfunc,erlang,setelement,3}}.
    {set_tuple_element,{y,1},{x,0},2}.
    {set_tuple_element,{atom,first},{x,0},0}.
    {deallocate,2}.
    return.

%% <<A:16, B/binary>>, the size of B given
{function, bytes, 2, 4}.
  {label,3}.
    {func_info,{atom,op_old_code},{atom,bytes},2}.
  {label,4}.
    {gc_bif,byte_size,{f,0},2,[{x,1}],{x,2}}.
    {gc_bif,'+',{f,0},3,[{x,2},{integer,2}],{x,2}}.
    {bs_init2,{f,0},{x,2},0,3,{field_flags,[]},{x,2}}.
    {bs_put_integer,{f,0},{integer,16},1,{field_flags,[unsigned,big]},{x,0}}.
    {bs_put_binary,{f,0},{atom,all},8,{field_flags,[unsigned,big]},{x,1}}.
    {move,{x,2},{x,0}}.
    return.

{function, differ, 2, 6}.
  {label,5}.
    {func_info,{atom,op_old_code},{atom,differ},2}.
  {label,6}.
    {test,is_ne,{f,7},[{x,0},{x,1}]}.
    {move,{atom,yes},{x,0}}.
    return.
  {label,7}.
    {move,{atom,no},{x,0}}.
    return.

{function, number, 1, 9}.
  {label,8}.
    {func_info,{atom,op_old_code},{atom,number},1}.
  {label,9}.
    {test,is_number,{f,10},[{x,0}]}.
    {move,{atom,yes},{x,0}}.
    return.
  {label,10}.
    {move,{atom,no},{x,0}}.
    return.

%% Floats between fclearerror and fcheckerror.
{function, divide, 2, 12}.
  {label,11}.
    {func_info,{atom,op_old_code},{atom,divide},2}.
  {label,12}.
    fclearerror.
    {fconv,{x,0},{fr,0}}.
    {fconv,{x,1},{fr,1}}.
    {bif,fdiv,{f,0},[{fr,0},{fr,1}],{fr,0}}.
    {fcheckerror,{f,0}}.
    {test_heap,{alloc,[{words,0},{floats,1}]},2}.
    {fmove,{fr,0},{x,0}}.
    return.

%% allocate_heap_zero: the Y registers are what a collection may look at.
{function, zeroed, 1, 14}.
  {label,13}.
    {func_info,{atom,op_old_code},{atom,zeroed},1}.
  {label,14}.
    {allocate_heap_zero,3,3,1}.
    {put_tuple2,{x,1},{list,[{x,0},{x,0}]}}.
    {move,{x,1},{y,2}}.
    {call_ext,0,{extfunc,erlang,garbage_collect,0}}.
    {move,{y,2},{x,0}}.
    {deallocate,3}.
    return.
