/** Chat templates beyond the goldens: options, errors and their places, bounds, and where Jinja here is not Python's. */

import { describe, expect, test } from "vitest";
import { ChatTemplateError } from "./errors";
import { type ChatMessage, type ChatOptions, ChatTemplate } from "./template";
import { ChatTemplates } from "./templates";

const HI: ChatMessage[] = [{ role: "user", content: "Hi" }];
const NOW = new Date("2026-01-05T09:03:07");

async function render(source: string, messages: ChatMessage[] = HI, options: ChatOptions = {}): Promise<string> {
  return (await ChatTemplate.parse(source, { file: "t.jinja" })).render(messages, { now: NOW, ...options });
}

describe("as jinja2 and transformers do it (outputs of jinja2 3.1.6, transformers 5.23)", () => {
  test.each<[string, string]>([
    ["{% for i in [1,2,3] %}{{ i }}{% if i==2 %}x{% break %}{% endif %}y{% endfor %}", "1y2x"],
    ["{% for i in [1,2,3] %}{{ i }}{% if i==2 %}x{% continue %}{% endif %}y{% endfor %}", "1y2x3y"],
    [
      "{% macro m(a) %}{% for i in a %}{{ i }}{% endfor %}{% endmacro %}" +
        "{% for i in [1,2] %}{% if m([i])=='2' %}{{ m('ab') }}{% break %}{% endif %}{{ m([i]) }}{% endfor %}",
      "1ab",
    ],
    [
      "{% set x='o' %}{% for i in [1,2] %}{% if i==1 %}{% set x = i %}{% endif %}[{{ x }}]{% endfor %}{{ x }}",
      "[1][o]o",
    ],
    ["{% for i in u %}a{% else %}b{% endfor %}{% for c in 'ab' %}{{ c }}.{% endfor %}", "ba.b."],
    ["{{ none }}{{ true }}{{ u ~ 1 }}{{ none ~ true }}", "NoneTrue1NoneTrue"],
    [
      `{{ [1,'a\\'b','q"',none,true,1.5,{'a':'é\\n\\u200b'}] }} {{ (1,2) }}`,
      `[1, "a'b", 'q"', None, True, 1.5, {'a': 'é\\n\\u200b'}] (1, 2)`,
    ],
    ["{{ none|upper }}|{{ 5|string }}|{{ [1,none,'a'] | join(',') }}|{{ u | trim }}", "NONE|5|1,None,a|"],
    [
      "{{ none == u }} {{ 1 == '1' }} {{ [1]==[1] }} {{ {'a':1}=={'a':1.0} }} {{ true == 1 }}",
      "False False True True True",
    ],
    ["{{ {} is iterable }} {{ 'a' in u }} {{ u in ['a'] }}", "True False False"],
    [
      "{{ '  x\ufeff\x1c'.strip() == 'x\ufeff' }} {{ '\\n\\nab'.lstrip('\\n') }} {{ 'abba'.rstrip('ab') }}|",
      "True ab |",
    ],
    ["{{ '😀b'[0] }} {{ '😀b'|length }} {{ '😀b'[:1] }} {{ '😀b'[-1] }}", "😀 2 😀 b"],
    ["{% set ns = namespace(a=1) %}{% for i in range(3) %}{% set ns.a = ns.a + i %}{% endfor %}{{ ns.a }}", "4"],
    [
      "{{ {'b':1,'a':[none,'é<']} | tojson }} {{ {'b':1} | tojson(indent=2) }}",
      '{"b": 1, "a": [null, "é<"]} {\n  "b": 1\n}',
    ],
    ["{% generation %}a{% endgeneration %}\nb\r\n{% if true %}\r\nc\r\n{% endif %}\r\n", "ab\nc\n"],
    [
      "{{ tools is none }} {{ documents is defined }} {{ add_generation_prompt }} {{ bos_token is defined }}",
      "True True False False",
    ],
    [
      "{{ strftime_now('%A %a %B %b %d %-d %e %H %I %p %M %S %f %j %y %Y %F %T %D %x %X %c %R %u %w %% %Q') }}",
      "Monday Mon January Jan 05 5  5 09 09 AM 03 07 000000 005 26 2026 2026-01-05 09:03:07 01/05/26 01/05/26 09:03:07 " +
        "Mon Jan  5 09:03:07 2026 09:03 1 1 % %Q",
    ],
  ])("%s", async (source, expected) => {
    expect(await render(source)).toBe(expected);
  });

  test("tools, documents, variables, reasoning under its three names", async () => {
    const options = { tools: [{ name: "f" }], documents: [{ title: "d" }], variables: { enable_thinking: false } };
    const source = "{{ tools[0].name }}{{ documents[0].title }}{{ enable_thinking }}";
    expect(await render(source, HI, options)).toBe("fdFalse");
    const chat = [{ role: "assistant", content: "4", thinking: "2+2" }];
    expect(await render("{{ messages[0].reasoning_content }}", chat)).toBe("2+2");
  });

  test("continueFinalMessage: of a text, of trimmed text, of parts, of the reasoning", async () => {
    const chat = [...HI, { role: "assistant", content: " Sure, " }];
    const options = { continueFinalMessage: true };
    const all = "{% for m in messages %}[{{ m.content }}]{% endfor %}";
    expect(await render(all, chat, options)).toBe("[Hi][ Sure, ");
    expect(await render("{% for m in messages %}[{{ m.content | trim }}]{% endfor %}", chat, options)).toBe(
      "[Hi][Sure,",
    );
    const parts = [{ role: "user", content: [{ type: "text", text: "a " }, { type: "image" }] }];
    expect(await render("{{ messages[0].content[0].text }}|", parts, options)).toBe("a ");
    expect(parts[0].content[0].text).toBe("a ");
    const reasoned = [{ role: "assistant", content: "c", reasoning_content: "why" }];
    const source = "<{{ messages[0].thinking }}>{{ messages[0].content }}";
    expect(await render(source, reasoned, { continueFinalMessage: "reasoning_content" })).toBe("<why");
    await expect(render("{{ messages[0].role }}", chat, options)).rejects.toThrow(
      'the template does not read "content"',
    );
    await expect(render("content", chat, options)).rejects.toThrow(
      "the template changes or leaves out the last message",
    );
    await expect(render(all, [], options)).rejects.toThrow("there is no message");
    await expect(render(all, [{ role: "user" }], options)).rejects.toThrow('the last message has no "content"');
  });
});

describe("what @huggingface/jinja lacks is an error, and never another text", () => {
  test.each<[source: string, python: string, message: RegExp]>([
    ["{{ '%s' % 'a' }}", "a", /Unknown operator/],
    ["{{ 'a' * 3 }}", "aaa", /Unknown operator/],
    ["{{ '\\d' }}", "\\d", /Unexpected escaped character: d/],
    ["{% raw %}{{ x }}{% endraw %}", "{{ x }}", /Unknown statement type: raw/],
    ["{%+ if true %}a{% endif %}", "a", /Unknown statement/],
    ["{{ 'abc'|first }}", "a", /Unknown StringValue filter: first/],
    ["{{ 'abc'|selectattr('x')|list }}", "[]", /Unknown StringValue filter: selectattr/],
    ["{{ ['a']|map('upper')|list }}", "['A']", /not currently supported/],
    ["{{ 'x'.center(3) }}", " x ", /Cannot call something that is not a function/],
    ["{{ {1:2}[1] }}", "2", /Object keys must be strings/],
    ["{{ (1,) }}", "(1,)", /Unexpected token: CloseParen/],
    ["{{ 1 is in [1] }}", "True", /line 1, column 1: Parser Error/],
  ])("%s", async (source, _python, message) => {
    await expect(render(source)).rejects.toThrow(message);
  });

  test("these few do give another text", async () => {
    // jinja2: "2", "Don't Stop", "Abc def", "1.0" (JSON.parse does not tell 1.0 from 1)
    expect(await render("{{ -7 % 3 }}|{{ 'don\\'t stop'|title }}|{{ 'abc DEF'|capitalize }}")).toBe(
      "-1|Don'T Stop|Abc DEF",
    );
    expect(await render("{{ messages[0].x }}", [{ role: "user", x: 1.0 }])).toBe("1");
  });
});

describe("errors", () => {
  test("raise_exception reaches the user as the template's text", async () => {
    const error = await render("{{ raise_exception('No \\u001b[1msystem') }}").catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(ChatTemplateError);
    expect(error).toMatchObject({
      raised: "No \u001b[1msystem",
      file: "t.jinja",
      message: "t.jinja: No \\u{1b}[1msystem",
    });
  });

  test.each<[source: string, message: string]>([
    ["a\n{% if x %}b", "t.jinja: line 2, column 1: the template ends where more is expected"],
    ["{# c #}\n\n {{ x | }}", "t.jinja: line 3, column 2: Unexpected token: CloseExpression"],
    ["{{ 'a' }}\n{{ 'b }}", "t.jinja: line 2, column 1: Unexpected end of input"],
    [
      "{% generation %}x{% endgeneration %}\n{% nonsense %}",
      "t.jinja: line 2, column 1: Unknown statement type: nonsense",
    ],
    ["ok {{ '}}' }}\n{{ ` }}", "t.jinja: line 2, column 1: Unexpected character: `"],
    ["{{ x", "t.jinja: line 1, column 1: Unexpected end of input"],
    ["{#", "t.jinja: line 1, column 1: Missing end of comment tag"],
    [`{{ ${"(".repeat(100_000)}`, "t.jinja: line 1, column 1: nested too deep"],
  ])("a mistake has its place: %#", async (source, message) => {
    const error = await ChatTemplate.parse(source, { file: "t.jinja" }).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(ChatTemplateError);
    expect((error as Error).message).toBe(message);
  });

  test.each<[source: string, message: string]>([
    ["{{ nothing.x }}", "t.jinja: the template fails: it reads a field of what is not defined"],
    ["{{ 'a' + none }}", "t.jinja: the template fails: can only add a text to a text, not StringValue and NullValue"],
    ["{% for m in none %}{% endfor %}", "t.jinja: the template fails: Expected iterable"],
    ["{{ undefined_function() }}", "t.jinja: the template fails: Cannot call something that is not a function"],
  ])("a failure: %s", async (source, message) => {
    await expect(render(source)).rejects.toThrow(message);
  });

  test.each<[unknown, unknown, string]>([
    ["Hi", {}, "render: messages: expected an array of objects"],
    [["Hi"], {}, "render: messages: expected an array of objects"],
    [HI, { tool: [] }, 'render: unknown option "tool"'],
    [HI, { tools: {} }, "render: tools: expected an array of objects"],
    [HI, { addGenerationPrompt: 1 }, "render: addGenerationPrompt: expected true or false"],
    [HI, { addGenerationPrompt: true, continueFinalMessage: true }, "expected no addGenerationPrompt with it"],
    [HI, { now: new Date(Number.NaN) }, "render: now: expected a valid Date"],
    [HI, { variables: { messages: [] } }, 'render: variables: expected no "messages"'],
    [[{ role: "user", content: () => 1 }], {}, "messages[0].content: expected plain data, got a function"],
    [[{ role: "user", content: 1n }], {}, "messages[0].content: expected plain data, got a bigint"],
  ])("wrong arguments %#", async (messages, options, message) => {
    const template = await ChatTemplate.parse("x");
    const call = () => template.render(messages as ChatMessage[], options as ChatOptions);
    expect(call).toThrow(TypeError);
    expect(call).toThrow(message);
  });

  test("a circle in the messages; what is no plain data becomes its type's name", async () => {
    const circle: Record<string, unknown> = { role: "user" };
    circle.content = circle;
    await expect(render("x", [circle as unknown as ChatMessage])).rejects.toThrow("or in a circle");
    const odd = [{ role: "user", content: new Uint8Array(1e6), at: new Date(0), gone: undefined }];
    expect(await render("{{ messages[0].content }}{{ messages[0].at }}{{ messages[0].gone is defined }}", odd)).toBe(
      "<Uint8Array><Date>False",
    );
  });
});

describe("bounds on hostile templates", () => {
  const many = "range(99999)";
  test.each<[string, string, RegExp]>([
    ["range", "{{ range(100001) }}", /a range of 100001 \(at most 100000\)/],
    [
      "nested loops",
      `{% for a in ${many} %}{% for b in ${many} %}x{% endfor %}{% endfor %}`,
      /takes more than \d+ steps/,
    ],
    [
      "loops of nothing",
      `{% for a in ${many} %}{% for b in ${many} %}{% endfor %}{% endfor %}`,
      /takes more than \d+ steps/,
    ],
    [
      "a text that doubles",
      "{% set ns = namespace(x='ab') %}{% for a in range(99) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
      /a value of more than/,
    ],
    [
      "a list that doubles",
      "{% set ns = namespace(x=[1]) %}{% for a in range(99) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
      /a value of more than/,
    ],
    ["recursion", "{% macro m(n) %}{{ m(n) }}{% endmacro %}{{ m(1) }}", /nests deeper than 500 levels/],
    ["deep expressions", `{{ ${"not ".repeat(800)} x }}`, /nests deeper than 500 levels/],
  ])("%s", async (_name, source, message) => {
    await expect(render(source)).rejects.toThrow(ChatTemplateError);
    await expect(render(source)).rejects.toThrow(message);
  });

  test("long sources and long runs of white space are not read", async () => {
    await expect(ChatTemplate.parse("x".repeat((1 << 18) + 1))).rejects.toThrow("at most 262144 are read");
    await expect(ChatTemplate.parse(`a\n${" ".repeat(2000)}`)).rejects.toThrow(
      "line 1, column 2: more than 1024 characters",
    );
  });

  test("long chats stay within the bounds", async () => {
    const turns = Array.from({ length: 2000 }, (_, i) => ({
      role: i % 2 ? "assistant" : "user",
      content: "word ".repeat(200),
    }));
    const source =
      "{% for m in messages %}{% if loop.index0 > 0 and messages[loop.index0 - 1].role == m.role %}!{% endif %}<{{ m.content | trim }}>{% endfor %}";
    expect(await render(source, turns)).toHaveLength(2000 * 1001);
  });
});

describe("ChatTemplates", () => {
  const sources = new Map([
    ["default", "{{ bos_token }}plain"],
    ["tool_use", "{{ bos_token }}tools"],
    ["broken", "{% if %}"],
  ]);
  const chat = new ChatTemplates({ file: "m.gguf", sources, specialTokens: { bos_token: "<s>" } });

  test("chooses as transformers does", async () => {
    expect(await chat.apply(HI)).toBe("<s>plain");
    expect(await chat.apply(HI, { tools: [] })).toBe("<s>tools");
    expect(await chat.apply(HI, { tools: [], template: "default" })).toBe("<s>plain");
    expect(await chat.apply(HI, { template: "{{ bos_token }}{{ messages[0].content }}" })).toBe("<s>Hi");
    expect(await chat.apply(HI, { variables: { bos_token: "B" } })).toBe("Bplain");
    const single = new ChatTemplates({ file: "m", sources: new Map([["default", "d"]]), specialTokens: {} });
    expect(await single.apply(HI, { tools: [] })).toBe("d");
  });

  test("errors name the file and the template", async () => {
    const known = "m.gguf: there is no template rag; there are: default, tool_use, broken";
    await expect(chat.apply(HI, { template: "rag" })).rejects.toThrow(known);
    await expect(chat.apply(HI, { template: "broken" })).rejects.toThrow("m.gguf, broken: line 1, column 1: ");
    await expect(chat.apply(HI, { templates: "x" } as object)).rejects.toThrow(
      'applyChatTemplate: unknown option "templates"',
    );
  });
});
