/**
 * The first name that stands twice in one object of a JSON text, or null. A reader that takes the last of two would judge another document
 * than one that takes the first. The text is JSON: it was parsed before.
 */
export function duplicateName(json: string): string | null {
  const open: (Set<string> | null)[] = [];
  const tokens = /"(?:[^"\\]|\\.)*"|[{}[\],:]/g;
  let key: string | null = null;
  for (const [token] of json.matchAll(tokens)) {
    if (token === "{") open.push(new Set());
    else if (token === "[") open.push(null);
    else if (token === "}" || token === "]") open.pop();
    else if (token === ":") {
      const names = open.at(-1);
      if (key === null || names === null || names === undefined) throw new Error("a name outside of an object");
      if (names.has(key)) return key;
      names.add(key);
    }
    key = token.startsWith('"') ? (JSON.parse(token) as string) : null;
  }
  return null;
}
