#!/usr/bin/env python3
"""A small scripted stand-in for the OpenAI Responses API.

It exists so that a real Codex CLI can be driven end to end on a machine with
no network and no account.  Python standard library only; it binds 127.0.0.1
and refuses any other address.

    python3 mock_responses.py --port 8765 --log requests.jsonl
    python3 mock_responses.py --port 0 --port-file port.txt --script script.json

What a reply contains is chosen, in this order, by

1. `{{verb argument}}` directives inside the last user message;
2. the first rule of the JSON script file whose `match` (a regular expression)
   is found in the last user message;
3. a default: "Mock reply to: <start of the message>".

One model request answers one *step*.  A tool call ends a step; Codex then runs
the tool and sends its output, and the next request answers the next step.
Which step is due is worked out from the request itself (the number of tool
outputs after the last user message), so the server keeps no conversation state.

Directives / script actions
  say TEXT            stream an assistant message
  chars N             stream an assistant message of N characters
  note TEXT           an assistant message in the "commentary" phase
  think TEXT          a reasoning item with a summary
  shell CMD           run a shell command (uses the tool the client declared)
  shell-esc CMD       the same, asking for escalated permissions (approval)
  patch PATH          create/replace PATH through apply_patch
  patch-raw TEXT      apply_patch with TEXT as the patch body
  plan A|B|C          update_plan; first entry completed, second in progress
  ask QUESTION        request_user_input with two options
  tool NAME JSON      any function call
  custom NAME TEXT    any custom (freeform) tool call
                      (in `tool` and `custom`, << and >> stand for {{ and }},
                      so that directives can be handed on to a sub-agent)
  and                 keep the next tool call in the same step (parallel calls)
  sleep SECONDS       wait before the next thing is sent
  pace SECONDS        delay between streamed chunks from here on
  hold [NAME]         wait until POST /_mock/release[?name=NAME]
  stall               send nothing more and keep the connection open
  drop                close the connection with the stream unfinished
  http CODE [KIND]    answer with an HTTP error.  KIND: usage_limit, rate_limit,
                      overloaded, quota, auth, context, plain
  http-once CODE [KIND]   the same, but only the first time it is reached
  http-times N CODE [KIND]  the same, the first N times
  fail CODE [TEXT]    a response.failed event (rate_limit_exceeded,
                      context_length_exceeded, insufficient_quota, ...)
  fail-once CODE [TEXT]   the same, but only the first time it is reached
  incomplete REASON   a response.incomplete event
  usage IN OUT        token usage to report for this step
  limits PCT [MIN] [PCT2 [MIN2]]  rate limit headers (percent used, window)
  noend               finish a step without a final answer (no message at all)

Control (same port)
  GET  /_mock/requests          recorded requests, summarised
  POST /_mock/release[?name=N]  release `hold`
  POST /_mock/rule              body = one rule; put in front of the script
  POST /_mock/reset             forget rules, counters and holds
"""
import argparse
import hashlib
import http.server
import json
import re
import socketserver
import sys
import threading
import time
import urllib.parse

DIRECTIVE = re.compile(r"\{\{\s*([a-z][a-z-]*)(?:\s+(.*?))?\s*\}\}(?!\})", re.S)
TOOL_VERBS = {"shell", "shell-esc", "patch", "patch-raw", "plan", "ask", "tool", "custom"}
SYNTHETIC = (
    "<environment_context", "<user_instructions", "# AGENTS.md", "<turn_aborted",
    "<user_shell_command", "<permissions", "<collaboration_mode", "<skill",
    "<subagent_notification", "<apps_instructions", "<plugins_instructions",
    "<model_switch", "<recommended_plugins", "<hook_prompt", "<goal_context",
    "<personality", "<context_",
)
COMPACT_MARKS = ("CONTEXT CHECKPOINT COMPACTION", "summary of the conversation",
                 "summarize the conversation")


class Lab:
    """Everything that changes while the server runs."""

    def __init__(self, rules, log_path, bodies):
        self.lock = threading.Lock()
        self.base_rules = rules
        self.rules = list(rules)
        self.counters = {}
        self.holds = {}
        self.requests = []
        self.log_path = log_path
        self.bodies = bodies
        self.serial = 0

    def next_serial(self):
        with self.lock:
            self.serial += 1
            return self.serial

    def hit(self, key):
        with self.lock:
            self.counters[key] = self.counters.get(key, 0) + 1
            return self.counters[key]

    def hold(self, name):
        with self.lock:
            return self.holds.setdefault(name, threading.Event())

    def release(self, name):
        with self.lock:
            # Only what is held now; the caller sees from the answer whether it came too early.
            names = [item for item in ([name] if name else list(self.holds)) if item in self.holds]
            for item in names:
                # A released hold is spent: the next one of that name waits again.
                self.holds.pop(item).set()
            return names

    def record(self, entry, body):
        with self.lock:
            self.requests.append(entry)
            if self.log_path:
                with open(self.log_path, "a", encoding="utf-8") as handle:
                    out = dict(entry)
                    if self.bodies:
                        out["body"] = body
                    handle.write(json.dumps(out) + "\n")

    def reset(self):
        with self.lock:
            self.rules = list(self.base_rules)
            self.counters.clear()
            for event in self.holds.values():
                event.set()
            self.holds.clear()


def item_text(item):
    content = item.get("content")
    if isinstance(content, str):
        return content
    out = []
    for part in content or []:
        if isinstance(part, dict):
            # A task for a sub-agent comes as "encrypted" text; here it is plain.
            out.append(part.get("text") or part.get("encrypted_content") or "")
    return "\n".join(out)


def is_synthetic(text):
    return text.lstrip().startswith(SYNTHETIC)


def last_user(items):
    """(index, text) of the last message a person (or a nudge) wrote."""
    for index in range(len(items) - 1, -1, -1):
        item = items[index]
        kind = item.get("type", "message")
        if kind == "message" and item.get("role") == "user":
            text = item_text(item)
            if text and not is_synthetic(text):
                return index, text
        elif kind == "agent_message":
            text = item_text(item)
            if "Message Type: FINAL_ANSWER" not in text:
                return index, text
    return -1, ""


def tool_outputs_after(items, index):
    kinds = ("function_call_output", "custom_tool_call_output",
             "local_shell_call_output", "mcp_tool_call_output", "tool_search_output")
    seen = 0
    previous_call = False
    for item in items[index + 1:]:
        kind = item.get("type", "message")
        if kind in kinds:
            # outputs that follow one another answer one step's parallel calls
            if not previous_call:
                seen += 1
            previous_call = True
        else:
            previous_call = False
    return seen


def parse_directives(text):
    return [[m.group(1), (m.group(2) or "").strip()] for m in DIRECTIVE.finditer(text)]


def split_steps(actions):
    """A tool call ends a step, unless `and` follows it."""
    steps, current, index = [], [], 0
    while index < len(actions):
        verb, arg = actions[index]
        current.append((verb, arg))
        if verb in TOOL_VERBS:
            if index + 1 < len(actions) and actions[index + 1][0] == "and":
                index += 1
            else:
                steps.append(current)
                current = []
        index += 1
    if current or not steps:
        steps.append(current)
    return steps


def rule_actions(rule):
    if "text" in rule:
        return parse_directives(rule["text"])
    out = []
    for action in rule.get("actions", []):
        if isinstance(action, str):
            verb, _, arg = action.partition(" ")
            out.append([verb, arg.strip()])
        else:
            out.append([action[0], " ".join(str(part) for part in action[1:])])
    return out


TITLE_MARKS = ("single-line task title", "Generate a title", "concise title")


def choose(lab, items, body=None):
    index, text = last_user(items)
    for mark in TITLE_MARKS:
        # The TUI asks for a session title on a hidden, unsaved side thread.
        if mark in text[:400]:
            words = re.findall(r"[A-Za-z]+", DIRECTIVE.sub(" ", text.rpartition("User prompt:")[2]))
            title = (" ".join(words[:4]).capitalize() or "Mock title")[:36]
            schema = ((body or {}).get("text") or {}).get("format") or {}
            if schema.get("type") == "json_schema":
                title = json.dumps({"title": title})
            return [[("say", title)]], 0, text
    for mark in COMPACT_MARKS:
        if mark in text:
            return [[("say", "Mock summary: the work so far was checked and is in order.")]], 0, text
    actions = parse_directives(text)
    if not actions:
        with lab.lock:
            rules = list(lab.rules)
        for rule in rules:
            if re.search(rule.get("match", "$^"), text, re.I | re.S):
                actions = rule_actions(rule)
                break
    step = tool_outputs_after(items, index)
    if not actions:
        flat = " ".join(text.split())
        return [[("say", "Mock reply to: " + flat[:80])]], step, text
    steps = split_steps(actions)
    return steps, step, text


# ---------------------------------------------------------------- tool choice

def tool_names(body):
    out = {}

    def walk(tools, namespace):
        for tool in tools or []:
            kind = tool.get("type")
            if kind == "namespace":
                walk(tool.get("tools"), tool.get("name"))
                continue
            name = tool.get("name") or kind
            out[name] = (kind, namespace)
    walk(body.get("tools"), None)
    # Newer models get their tools as an input item instead of the `tools` field.
    for item in body.get("input") or []:
        if isinstance(item, dict) and item.get("type") == "additional_tools":
            walk(item.get("tools"), None)
    return out


def call_item(tools, name, arguments, call_id):
    kind, namespace = tools.get(name, ("function", None))
    item = {"type": "function_call", "id": "fc_" + call_id, "call_id": "call_" + call_id,
            "name": name, "arguments": json.dumps(arguments), "status": "completed"}
    if namespace and namespace != "functions":
        item["namespace"] = namespace
    return item


def custom_item(name, text, call_id):
    return {"type": "custom_tool_call", "id": "ctc_" + call_id, "call_id": "call_" + call_id,
            "name": name, "input": text, "status": "completed"}


def shell_item(tools, command, call_id, escalate=False):
    extra = {}
    if escalate:
        extra = {"sandbox_permissions": "require_escalated",
                 "justification": "Mock: needs to run outside the sandbox?"}
    if "exec_command" in tools:
        return call_item(tools, "exec_command", dict({"cmd": command}, **extra), call_id)
    if "shell_command" in tools:
        return call_item(tools, "shell_command", dict({"command": command}, **extra), call_id)
    if "exec" in tools and tools["exec"][0] == "custom":
        js = "const r = await tools.exec_command(%s);\ntext(r.output);" % json.dumps(
            dict({"cmd": command}, **extra))
        return custom_item("exec", js, call_id)
    if "local_shell" in tools:
        return {"type": "local_shell_call", "id": "lsh_" + call_id, "call_id": "call_" + call_id,
                "status": "completed",
                "action": {"type": "exec", "command": ["bash", "-lc", command],
                           "timeout_ms": 60000, "working_directory": None, "env": {}, "user": None}}
    if escalate:
        extra["with_escalated_permissions"] = True
    return call_item(tools, "shell", dict({"command": ["bash", "-lc", command]}, **extra), call_id)


def patch_item(tools, body, call_id):
    kind = tools.get("apply_patch", (None, None))[0]
    if kind == "custom":
        return custom_item("apply_patch", body, call_id)
    if kind == "function":
        return call_item(tools, "apply_patch", {"input": body}, call_id)
    if "exec" in tools and tools["exec"][0] == "custom":
        js = "const r = await tools.apply_patch(%s);\ntext(r);" % json.dumps(body)
        return custom_item("exec", js, call_id)
    if "shell" in tools:
        return call_item(tools, "shell", {"command": ["apply_patch", body]}, call_id)
    return shell_item(tools, "apply_patch <<'MOCKPATCH'\n%s\nMOCKPATCH" % body, call_id)


def error_body(kind, code):
    table = {
        "usage_limit": {"error": {"type": "usage_limit_reached",
                                  "message": "The usage limit has been reached",
                                  "plan_type": "pro", "resets_at": int(time.time()) + 7200,
                                  "resets_in_seconds": 7200}},
        "rate_limit": {"error": {"type": "rate_limit_error", "code": "rate_limit_exceeded",
                                 "message": "Rate limit reached. Please try again in 1s."}},
        "overloaded": {"error": {"type": "server_error", "code": "server_is_overloaded",
                                 "message": "The server is overloaded. Please try again later."}},
        "quota": {"error": {"type": "insufficient_quota", "code": "insufficient_quota",
                            "message": "You exceeded your current quota."}},
        "auth": {"error": {"type": "invalid_request_error", "code": "invalid_api_key",
                           "message": "Incorrect API key provided."}},
        "context": {"error": {"type": "invalid_request_error", "code": "context_length_exceeded",
                              "message": "Your input exceeds the context window of this model."}},
    }
    return table.get(kind, {"error": {"type": "server_error", "message": "Mock error %s" % code}})


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    lab = None
    defaults = None

    def log_message(self, *args):
        pass

    # ------------------------------------------------------------ plumbing
    def send_json(self, code, obj, headers=None):
        data = json.dumps(obj).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(data)

    def read_body(self):
        length = int(self.headers.get("Content-Length") or 0)
        raw = self.rfile.read(length) if length else b""
        if self.headers.get("Content-Encoding") == "gzip":
            import gzip
            raw = gzip.decompress(raw)
        try:
            return json.loads(raw or b"{}")
        except ValueError:
            return {}

    def do_GET(self):
        path = urllib.parse.urlsplit(self.path).path
        if path == "/_mock/requests":
            with self.lab.lock:
                self.send_json(200, self.lab.requests)
        elif path.endswith("/models"):
            self.send_json(200, {"object": "list", "data": [{"id": "mock-model", "object": "model"}],
                                 "models": []})
        else:
            self.send_json(404, {"error": {"message": "no such path"}})

    def do_POST(self):
        split = urllib.parse.urlsplit(self.path)
        body = self.read_body()
        if split.path == "/_mock/release":
            name = urllib.parse.parse_qs(split.query).get("name", [""])[0]
            self.send_json(200, {"released": self.lab.release(name)})
        elif split.path == "/_mock/rule":
            with self.lab.lock:
                self.lab.rules.insert(0, body)
            self.send_json(200, {"ok": True})
        elif split.path == "/_mock/reset":
            self.lab.reset()
            self.send_json(200, {"ok": True})
        elif split.path.endswith("/responses/compact"):
            keep = [i for i in body.get("input", []) if i.get("role") == "user"]
            self.send_json(200, {"output": keep})
        elif split.path.endswith("/responses"):
            self.answer(body)
        else:
            self.send_json(404, {"error": {"message": "no such path"}})

    # ------------------------------------------------------------ SSE
    def open_stream(self, limits):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Cache-Control", "no-cache")
        self.send_header("Connection", "close")
        for key, value in limits.items():
            self.send_header(key, value)
        self.end_headers()
        self.close_connection = True
        self.opened = True

    def event(self, kind, **fields):
        self.seq += 1
        payload = dict({"type": kind, "sequence_number": self.seq}, **fields)
        self.wfile.write(("event: %s\ndata: %s\n\n" % (kind, json.dumps(payload))).encode())
        self.wfile.flush()

    def message(self, text, index, rid, pace, phase=None):
        mid = "msg_%s_%d" % (rid, index)
        item = {"type": "message", "role": "assistant", "id": mid, "status": "in_progress", "content": []}
        if phase:
            item["phase"] = phase
        self.event("response.output_item.added", output_index=index, item=item)
        self.event("response.content_part.added", item_id=mid, output_index=index, content_index=0,
                   part={"type": "output_text", "text": ""})
        for chunk in re.findall(r"\S+\s*|\s+", text) or [""]:
            self.event("response.output_text.delta", item_id=mid, output_index=index,
                       content_index=0, delta=chunk)
            if pace:
                time.sleep(pace)
        done = dict(item, status="completed",
                    content=[{"type": "output_text", "text": text, "annotations": []}])
        self.event("response.output_item.done", output_index=index, item=done)

    def reasoning(self, text, index, rid, pace):
        iid = "rs_%s_%d" % (rid, index)
        item = {"type": "reasoning", "id": iid, "summary": []}
        self.event("response.output_item.added", output_index=index, item=item)
        self.event("response.reasoning_summary_part.added", item_id=iid, output_index=index,
                   summary_index=0, part={"type": "summary_text", "text": ""})
        for chunk in re.findall(r"\S+\s*", text):
            self.event("response.reasoning_summary_text.delta", item_id=iid, output_index=index,
                       summary_index=0, delta=chunk)
            if pace:
                time.sleep(pace)
        done = dict(item, summary=[{"type": "summary_text", "text": text}], encrypted_content="bW9jaw==")
        self.event("response.output_item.done", output_index=index, item=done)

    def item(self, item, index):
        self.event("response.output_item.added", output_index=index, item=item)
        self.event("response.output_item.done", output_index=index, item=item)

    def start(self, rid, limits):
        if not self.opened:
            self.open_stream(limits)
            self.event("response.created", response={"id": rid, "object": "response",
                                                     "status": "in_progress", "output": []})

    def answer(self, body):
        lab = self.lab
        serial = lab.next_serial()
        items = body.get("input") or []
        if isinstance(items, str):
            items = [{"type": "message", "role": "user", "content": items}]
        steps, step, text = choose(lab, items, body)
        tools = tool_names(body)
        actions = steps[step] if step < len(steps) else []
        rid = "resp_mock_%05d" % serial
        key = hashlib.sha256(("%s|%d" % (text, step)).encode()).hexdigest()
        lab.record({"serial": serial, "time": time.time(), "path": self.path, "model": body.get("model"),
                    "items": len(items), "step": step, "of": len(steps),
                    "actions": [list(a) for a in actions], "user": text[:400],
                    "tools": sorted(tools), "client": self.headers.get("User-Agent", ""),
                    "originator": self.headers.get("originator", ""),
                    "headers": {k: v for k, v in self.headers.items()
                                if k.lower() not in ("authorization", "content-length", "host")}}, body)
        self.opened = False
        self.seq = 0
        pace = self.defaults["pace"]
        usage = [1200 + 40 * len(items), 60]
        limits = dict(self.defaults["limits"])
        index = 0
        produced = False
        quiet = False
        try:
            for number, (verb, arg) in enumerate(actions):
                call_id = "%05d_%d" % (serial, number)
                if verb == "limits":
                    parts = arg.split()
                    limits = {"x-codex-primary-used-percent": parts[0],
                              "x-codex-primary-window-minutes": parts[1] if len(parts) > 1 else "300",
                              "x-codex-primary-reset-at": str(int(time.time()) + 3600)}
                    if len(parts) > 2:
                        limits.update({"x-codex-secondary-used-percent": parts[2],
                                       "x-codex-secondary-window-minutes":
                                           parts[3] if len(parts) > 3 else "10080",
                                       "x-codex-secondary-reset-at": str(int(time.time()) + 86400)})
                    continue
                if verb == "usage":
                    usage = [int(n) for n in arg.split()][:2]
                    continue
                if verb == "pace":
                    pace = float(arg)
                    continue
                if verb == "sleep":
                    time.sleep(float(arg or 1))
                    continue
                if verb in ("http", "http-once", "http-times"):
                    parts = arg.split()
                    times = None
                    if verb == "http-once":
                        times = 1
                    if verb == "http-times":
                        times = int(parts.pop(0))
                    if times is not None and lab.hit(key + verb + str(number)) > times:
                        continue
                    code = int(parts[0])
                    kind = parts[1] if len(parts) > 1 else "plain"
                    self.send_json(code, error_body(kind, code), limits)
                    return
                self.start(rid, limits)
                if verb == "hold":
                    lab.hold(arg or "default").wait(timeout=600)
                elif verb == "stall":
                    time.sleep(600)
                    return
                elif verb == "drop":
                    return
                elif verb == "noend":
                    quiet = True
                elif verb in ("fail", "fail-once"):
                    if verb == "fail-once" and lab.hit(key + verb + str(number)) > 1:
                        continue
                    code, _, message = arg.partition(" ")
                    self.event("response.failed", response={
                        "id": rid, "status": "failed",
                        "error": {"code": code or "server_error", "message": message or "Mock failure"}})
                    return
                elif verb == "incomplete":
                    self.event("response.incomplete", response={
                        "id": rid, "status": "incomplete",
                        "incomplete_details": {"reason": arg or "max_output_tokens"}})
                    return
                elif verb == "say":
                    self.message(arg, index, rid, pace)
                    produced, index = True, index + 1
                elif verb == "note":
                    self.message(arg, index, rid, pace, "commentary")
                    produced, index = True, index + 1
                elif verb == "chars":
                    words = ("word%04d " % n for n in range(10 ** 6))
                    out = ""
                    while len(out) < int(arg):
                        out += next(words)
                    self.message(out[:int(arg)], index, rid, pace)
                    produced, index = True, index + 1
                elif verb == "think":
                    self.reasoning(arg, index, rid, pace)
                    index += 1
                elif verb in TOOL_VERBS:
                    self.item(self.tool_call(verb, arg, tools, call_id), index)
                    produced, index = True, index + 1
            self.start(rid, limits)
            if not produced and not quiet:
                self.message("Mock: done after %d step(s)." % step, index, rid, pace)
            self.event("response.completed", response={
                "id": rid, "object": "response", "status": "completed", "output": [],
                "usage": {"input_tokens": usage[0], "input_tokens_details": {"cached_tokens": 0},
                          "output_tokens": usage[1], "output_tokens_details": {"reasoning_tokens": 0},
                          "total_tokens": sum(usage)}})
        except (BrokenPipeError, ConnectionResetError):
            lab.record({"serial": serial, "time": time.time(), "client_closed": True}, None)

    def tool_call(self, verb, arg, tools, call_id):
        if verb == "shell":
            return shell_item(tools, arg, call_id)
        if verb == "shell-esc":
            return shell_item(tools, arg, call_id, True)
        if verb == "patch":
            return patch_item(tools, "*** Begin Patch\n*** Add File: %s\n+mock line one\n"
                                     "+mock line two\n*** End Patch" % arg, call_id)
        if verb == "patch-raw":
            return patch_item(tools, arg, call_id)
        if verb == "plan":
            states = ["completed", "in_progress"] + ["pending"] * 50
            plan = [{"step": s.strip(), "status": states[i]} for i, s in enumerate(arg.split("|"))]
            return call_item(tools, "update_plan", {"explanation": "Mock plan", "plan": plan}, call_id)
        if verb == "ask":
            return call_item(tools, "request_user_input", {"questions": [
                {"id": "q1", "header": "Choice", "question": arg or "Which one?",
                 "options": [{"label": "First (Recommended)", "description": "The first way"},
                             {"label": "Second", "description": "The second way"}]}]}, call_id)
        name, _, rest = arg.partition(" ")
        rest = rest.replace("<<", "{{").replace(">>", "}}")
        if verb == "custom":
            return custom_item(name, rest, call_id)
        try:
            parsed = json.loads(rest or "{}")
        except ValueError:
            parsed = {"raw": rest}
        return call_item(tools, name, parsed, call_id)


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, request, client_address):
        error = sys.exc_info()[1]
        if not isinstance(error, (BrokenPipeError, ConnectionResetError, ConnectionAbortedError)):
            super().handle_error(request, client_address)


def main(argv=None):
    parser = argparse.ArgumentParser(description="Scripted mock of the Responses API (127.0.0.1 only)")
    parser.add_argument("--port", type=int, default=8765, help="0 picks a free port")
    parser.add_argument("--port-file", help="write the port that was bound to this file")
    parser.add_argument("--script", help="JSON file: {\"rules\": [{\"match\": REGEX, \"text\"|\"actions\": ...}]}")
    parser.add_argument("--log", help="append one JSON line per request to this file")
    parser.add_argument("--log-bodies", action="store_true", help="keep whole request bodies in the log")
    parser.add_argument("--pace", type=float, default=0.01, help="seconds between streamed chunks")
    parser.add_argument("--limits", help="rate limit headers to send always: PCT[,MIN[,PCT2[,MIN2]]]")
    args = parser.parse_args(argv)
    rules = []
    if args.script:
        with open(args.script, encoding="utf-8") as handle:
            rules = json.load(handle).get("rules", [])
    limits = {}
    if args.limits:
        part = args.limits.split(",")
        names = ["x-codex-primary-used-percent", "x-codex-primary-window-minutes",
                 "x-codex-secondary-used-percent", "x-codex-secondary-window-minutes"]
        limits = dict(zip(names, part))
    Handler.lab = Lab(rules, args.log, args.log_bodies)
    Handler.defaults = {"pace": args.pace, "limits": limits}
    server = Server(("127.0.0.1", args.port), Handler)
    port = server.server_address[1]
    if args.port_file:
        with open(args.port_file, "w", encoding="utf-8") as handle:
            handle.write(str(port))
    print("mock responses API on http://127.0.0.1:%d/v1" % port, flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
