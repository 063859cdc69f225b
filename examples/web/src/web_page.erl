%% web_page - the module of httpd that answers: / is a page, /counter the next
%% number, /echo gives back what was posted.
-module(web_page).
-export([do/1]).
-include_lib("inets/include/httpd.hrl").

do(#mod{method = Method, request_uri = Uri, entity_body = Body}) ->
    case {Method, Uri} of
        {"GET", "/"} -> answer(200, "text/html", page());
        {"GET", "/counter"} -> answer(200, "text/plain", integer_to_list(web_counter:next()));
        {"POST", "/echo"} -> answer(200, "application/octet-stream", Body);
        {_, Path} when Path =:= "/"; Path =:= "/counter"; Path =:= "/echo" ->
            answer(405, "text/plain", "no such method here\n");
        _ -> answer(404, "text/plain", "no such page\n")
    end.

answer(Code, Type, Body) ->
    Head = [{code, Code}, {content_type, Type},
            {content_length, integer_to_list(iolist_size(Body))}],
    {proceed, [{response, {response, Head, Body}}]}.

page() ->
    ["<!DOCTYPE html>\n<html><head><title>web</title></head>\n"
     "<body><h1>Erlang/OTP ", erlang:system_info(otp_release), " on ",
     erlang:system_info(machine), "</h1>\n"
     "<p>The <a href=\"/counter\">counter</a> counts.</p></body></html>\n"].
