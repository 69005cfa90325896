/** An IAM statement as it is rendered, and the JSON document that AWS takes. docs.aws.amazon.com, IAM JSON policy elements. */

export type Condition = { readonly test: string; readonly key: string; readonly values: readonly string[] };
export type Statement = {
  readonly sid: string;
  readonly effect: "Allow" | "Deny";
  /** `others`: the actions are written as NotAction, and the statement is about every other one. */
  readonly about: "these" | "others";
  readonly actions: readonly string[];
  readonly resources: readonly string[];
  readonly conditions: readonly Condition[];
  /** The rules that it is for; none when it is for all. */
  readonly rules: readonly string[];
};

export type Document = {
  readonly Version: "2012-10-17";
  readonly Statement: readonly Readonly<Record<string, unknown>>[];
};

function conditionBlock(conditions: readonly Condition[]): Record<string, Record<string, readonly string[] | string>> {
  const block: Record<string, Record<string, readonly string[] | string>> = {};
  for (const { test, key, values } of conditions) {
    const [only] = values;
    block[test] = { ...block[test], [key]: values.length === 1 && only !== undefined ? only : values };
  }
  return block;
}

/** The document as AWS takes it. */
export function documentOf(statements: readonly Statement[]): Document {
  return {
    Version: "2012-10-17",
    Statement: statements.map(({ sid, effect, about, actions, resources, conditions }) => ({
      Sid: sid,
      Effect: effect,
      [about === "these" ? "Action" : "NotAction"]: actions,
      Resource: resources,
      ...(conditions.length === 0 ? {} : { Condition: conditionBlock(conditions) }),
    })),
  };
}

/** Statements that say the same become one, for all their rules; each keeps a name of its own. */
export function merged(statements: readonly Statement[]): readonly Statement[] {
  const bySaying = new Map<string, Statement>();
  const names = new Set<string>();
  for (const statement of statements) {
    const { effect, about, actions, resources, conditions } = statement;
    const saying = JSON.stringify([effect, about, actions, resources, conditions]);
    const same = bySaying.get(saying);
    if (same !== undefined) {
      bySaying.set(saying, { ...same, rules: [...new Set([...same.rules, ...statement.rules])] });
      continue;
    }
    let [sid, count] = [statement.sid, 1];
    while (names.has(sid)) sid = `${statement.sid}${++count}`;
    names.add(sid);
    bySaying.set(saying, { ...statement, sid });
  }
  return [...bySaying.values()];
}

/** `broker-dns` as a part of a statement's name, which takes letters and digits only. */
export function sidOf(...words: readonly string[]): string {
  return words
    .flatMap((word) => word.split("-"))
    .map((word) => word.slice(0, 1).toUpperCase() + word.slice(1))
    .join("");
}
