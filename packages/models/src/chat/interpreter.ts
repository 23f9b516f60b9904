/**
 * Runs a parsed Jinja template: within bounds, as templates come with the model's files and are not to be trusted, and
 * as Python's jinja2 does where @huggingface/jinja (0.5.11) does otherwise and real templates show it.
 */

import type { PlainSize } from "./plain";
import { equals, str, strip, type Value } from "./python";

export type Jinja = typeof import("@huggingface/jinja");
export type Program = ReturnType<Jinja["parse"]>;
type Evaluate = InstanceType<Jinja["Interpreter"]>["evaluate"];
type Node = NonNullable<Parameters<Evaluate>[0]>;
type Scope = Parameters<Evaluate>[1];

/** What jinja2's sandbox allows to `range`. */
const MAX_RANGE = 100_000;

/** Deepest nesting of expressions, blocks and macro calls: below what the smallest usual stack holds. */
const MAX_DEPTH = 500;

/** Work that any template may do; real ones take a few hundred steps a message. Some seconds at most. */
const FREE_STEPS = 1_000_000;
const STEPS_PER_VALUE = 1000;
const STEPS_PER_CHARACTER = 10;

/** Characters or elements that any value may have, beyond a multiple of what went in. */
const FREE_LENGTH = 1 << 20;
const LENGTH_PER_CHARACTER = 16;

/** A template went beyond what its input justifies. */
export class LimitError extends Error {}

/** The template called raise_exception. */
export class Raised extends Error {}

/**
 * The rendered text. Bounded: steps, nesting, `range`, the length of every value that an expression gives. Not bounded:
 * one single filter or method (replace, join, indent, tojson) can build a text up to the engine's own limit, about
 * 2^29 characters, before it is looked at.
 */
export function runTemplate(
  jinja: Jinja,
  program: Program,
  variables: Readonly<Record<string, unknown>>,
  size: PlainSize,
): string {
  const bounds = {
    steps: FREE_STEPS + STEPS_PER_VALUE * size.values + STEPS_PER_CHARACTER * size.characters,
    length: FREE_LENGTH + LENGTH_PER_CHARACTER * size.characters + size.values,
  };
  const environment = new jinja.Environment();
  for (const [name, value] of Object.entries({ ...GLOBALS, ...variables })) {
    environment.variables.delete(name); // `namespace` is there already, and a variable goes before it
    environment.set(name, value);
  }
  return str(new (interpreterClass(jinja))(environment, rolesOf(program), bounds).run(program));
}

/** An expression's value, put in the place of the expression so that it is not evaluated twice. */
interface Constant {
  readonly type: "Constant";
  readonly constant: Value;
}

const CONTROL = ["If", "For", "Set", "Macro", "CallStatement", "FilterStatement", "Break", "Continue", "Comment"];

/** Filters that Python applies to str() of what they get. */
const TEXT_FILTERS = ["trim", "upper", "lower", "capitalize", "title", "replace", "indent", "string"];

/** One class for each copy of the library, which is loaded late. */
function interpreterClass(jinja: Jinja) {
  const maker = new jinja.Environment();
  const wrap = (value: unknown): Value => {
    maker.variables.delete("value");
    return maker.set("value", value);
  };

  return class extends jinja.Interpreter {
    readonly #roles: Roles;
    readonly #bounds: { readonly steps: number; readonly length: number };
    #steps = 0;
    #depth = 0;
    /** What the open blocks printed so far; a `break` or `continue` would lose it. */
    readonly #printed: string[] = [];

    constructor(environment: Scope, roles: Roles, bounds: { steps: number; length: number }) {
      super(environment);
      this.#roles = roles;
      this.#bounds = bounds;
    }

    override evaluate(node: Node | undefined, scope: Scope): Value {
      if (node?.type === "Constant") return (node as unknown as Constant).constant;
      if (++this.#depth > MAX_DEPTH) throw new LimitError(`it nests deeper than ${MAX_DEPTH} levels`);
      try {
        const value = node === undefined ? super.evaluate(node, scope) : this.#inItsPlace(node, scope);
        const length = lengthOf(value?.value);
        if (length > this.#bounds.length) {
          throw new LimitError(`it makes a value of more than ${this.#bounds.length} characters or elements`);
        }
        this.#steps += 1 + costOf(node, value, length);
        if (this.#steps > this.#bounds.steps) throw new LimitError(`it takes more than ${this.#bounds.steps} steps`);
        return value;
      } finally {
        this.#depth--;
      }
    }

    /** A node by what it is for: printed, looped over, or a part of an expression. */
    #inItsPlace(node: Node, scope: Scope): Value {
      const loopNames = this.#roles.first.get(node);
      // A round of a loop begins with what stands outside of it, not with what the last round set.
      if (loopNames !== undefined) forget(scope, loopNames);
      if (this.#roles.looped.has(node)) {
        const value = this.#compute(node, scope);
        this.#steps += 4 * lengthOf(value.value); // for each round, be its body empty
        if (value.type === "UndefinedValue") return wrap([]);
        return value.type === "StringValue" ? wrap([...(value.value as string)]) : value;
      }
      if (!this.#roles.printed.has(node)) return this.#compute(node, scope);
      const mark = this.#printed.length;
      let value = this.#compute(node, scope);
      if (node.type === "For") value = wrap(this.#printed.slice(mark).join(""));
      else if (!CONTROL.includes(node.type) && value.type !== "StringValue") value = wrap(str(value));
      this.#printed.length = mark;
      if (value.type === "StringValue" && value.value !== "") this.#printed.push(value.value as string);
      return value;
    }

    #compute(node: Node, scope: Scope): Value {
      // The node with values in the place of its operands.
      const put = (values: Record<string, Value>): Value => {
        const copy: Record<string, unknown> = Object.assign(Object.create(Object.getPrototypeOf(node)), node);
        for (const [key, constant] of Object.entries(values)) copy[key] = { type: "Constant", constant };
        return super.evaluate(copy as unknown as Node, scope);
      };
      const part = (key: string): Value => this.evaluate((node as unknown as Record<string, Node>)[key], scope);
      switch (node.type) {
        case "BinaryExpression": {
          const operator = (node as unknown as { operator: { value: string } }).operator.value;
          if (!["==", "!=", "~", "+", "in", "not in"].includes(operator)) break;
          const [left, right] = [part("left"), part("right")];
          if (operator === "~") return wrap(str(left) + str(right));
          if (operator === "in" || operator === "not in") {
            if (!Array.isArray(right.value)) return put({ left, right });
            return wrap((right.value as Value[]).some((item) => equals(item, left)) === (operator === "in"));
          }
          if (operator !== "+") return wrap(equals(left, right) === (operator === "=="));
          const texts = [left, right].filter(({ type }) => type === "StringValue").length;
          if (texts === 1) throw new TypeError(`can only add a text to a text, not ${left.type} and ${right.type}`);
          return put({ left, right });
        }
        case "FilterExpression": {
          const { filter } = node as unknown as { filter: { value?: string; callee?: { value: string } } };
          const name = filter.value ?? filter.callee?.value ?? "";
          let operand = part("operand");
          this.#steps += workOn(operand);
          if (TEXT_FILTERS.includes(name) && operand.type !== "StringValue") operand = wrap(str(operand));
          if (name === "trim" && filter.value !== undefined) return wrap(strip(operand.value as string, "strip", null));
          if (name === "length" && operand.type === "StringValue") return wrap([...(operand.value as string)].length);
          if (name === "join" && Array.isArray(operand.value)) operand = wrap((operand.value as Value[]).map(str));
          return put({ operand });
        }
        case "TestExpression": {
          const { test, negate } = node as unknown as { test: { value: string }; negate: boolean };
          const operand = part("operand");
          const isIterable = test.value === "iterable" && ["ObjectValue", "TupleValue"].includes(operand.type);
          return isIterable ? wrap(!negate) : put({ operand });
        }
        case "MemberExpression": {
          const object = part("object");
          if (object.type === "UndefinedValue") throw new TypeError("it reads a field of what is not defined");
          if (object.type !== "StringValue" || isSlice(node) || !(node as unknown as { computed: boolean }).computed) {
            return put({ object });
          }
          const property = part("property");
          this.#steps += workOn(object);
          const isIndex = property.type === "IntegerValue";
          // By code points, as in Python.
          return isIndex ? wrap([...(object.value as string)].at(property.value as number)) : put({ object, property });
        }
        case "CallExpression": {
          const mark = this.#printed.length;
          try {
            return this.#strip(node, scope) ?? super.evaluate(node, scope);
          } finally {
            this.#printed.length = mark; // a macro gives its text back and prints nothing
          }
        }
      }
      return super.evaluate(node, scope);
    }

    /** `text.strip(characters)` and its like, whose argument the library leaves out; null for any other call. */
    #strip(node: Node, scope: Scope): Value | null {
      const { callee, args } = node as unknown as { callee: Node; args: Node[] };
      if (callee.type !== "MemberExpression") return null;
      const { object, property, computed } = callee as unknown as { object: Node; property: Node; computed: boolean };
      const name = String((property as unknown as { value: unknown }).value);
      if (computed || !["strip", "lstrip", "rstrip"].includes(name)) return null;
      const text = this.evaluate(object, scope);
      if (text.type !== "StringValue" || args.length > 1) throw new TypeError(`${name}() is a method of texts`);
      this.#steps += workOn(text);
      const set = args.length === 1 ? this.evaluate(args[0], scope) : null;
      if (set !== null && !["StringValue", "NullValue"].includes(set.type))
        throw new TypeError(`${name}() takes a text`);
      return wrap(strip(text.value as string, name, (set?.value as string | null) ?? null));
    }
  };
}

/** Which nodes are printed, which are looped over, and which begin the body of a loop (with its variables' names). */
interface Roles {
  readonly printed: Set<Node>;
  readonly looped: Set<Node>;
  readonly first: Map<Node, ReadonlySet<string>>;
}

const BODIES = ["body", "alternate", "defaultBlock"];

function rolesOf(program: Program): Roles {
  const roles: Roles = { printed: new Set(), looped: new Set(), first: new Map() };
  const open: unknown[] = [program];
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    const statement = node as Record<string, unknown> & { type: string };
    for (const name of BODIES) {
      const body = statement[name];
      if (!Array.isArray(body)) continue;
      for (const child of body) roles.printed.add(child);
      open.push(...body);
    }
    if (statement.type !== "For") continue;
    const { iterable, loopvar, body } = statement as unknown as { iterable: Node; loopvar: Node; body: Node[] };
    const isFiltered = iterable.type === "SelectExpression";
    roles.looped.add(isFiltered ? (iterable as unknown as { lhs: Node }).lhs : iterable);
    const { value } = loopvar as unknown as { value: unknown };
    const names = Array.isArray(value) ? value.map((item: { value: unknown }) => String(item.value)) : [String(value)];
    if (body.length > 0) roles.first.set(body[0], new Set([...names, "loop", "namespace"]));
  }
  return roles;
}

function forget(scope: Scope, kept: ReadonlySet<string>): void {
  for (const name of scope.variables.keys()) if (!kept.has(name)) scope.variables.delete(name);
}

function isSlice(node: Node): boolean {
  return (node as unknown as { property?: Node }).property?.type === "SliceExpression";
}

/** Steps that go with a value's length: calls and slices have gone through all of it, others may have to. */
function costOf(node: Node | undefined, value: Value, length: number): number {
  const isMade =
    node !== undefined && (node.type === "CallExpression" || node.type === "FilterExpression" || isSlice(node));
  return isMade ? workOn(value) : length >> 8;
}

/** Steps of going through a value once. */
function workOn({ type, value }: Value): number {
  return type === "StringValue" ? lengthOf(value) >> 2 : lengthOf(value);
}

function lengthOf(value: unknown): number {
  if (typeof value === "string" || Array.isArray(value)) return value.length;
  return value instanceof Map ? value.size : 0;
}

const GLOBALS: Readonly<Record<string, unknown>> = {
  ...{ true: true, True: true, false: false, False: false, none: null, None: null },
  raise_exception: (message: unknown) => {
    throw new Raised(String(message));
  },
  range: (...bounds: unknown[]) => {
    if (bounds.length === 0 || bounds.length > 3 || !bounds.every((bound) => Number.isSafeInteger(bound))) {
      throw new TypeError("range: expected one to three integers");
    }
    const [start, stop, step] = (bounds.length === 1 ? [0, bounds[0], 1] : [...bounds, 1]) as number[];
    if (step === 0) throw new RangeError("range: the step must not be 0");
    const length = Math.max(0, Math.ceil((stop - start) / step));
    if (length > MAX_RANGE) throw new LimitError(`it asks for a range of ${length} (at most ${MAX_RANGE})`);
    return Array.from({ length }, (_, i) => start + i * step);
  },
};
