/** The XML that AWS speaks: elements and text. No attribute, comment or processing instruction carries meaning in it. */
export type Element = { readonly name: string; readonly children: readonly Element[]; readonly text: string };

const TOKEN = /<\?[^>]*\?>|<!--[\s\S]*?-->|<\/?([A-Za-z_][\w.:-]*)[^>]*?(\/?)>|([^<]+)/g;

function plain(text: string): string {
  return text.replace(/&(?:#x([0-9a-fA-F]+)|#(\d+)|(lt|gt|amp|quot|apos));/g, (_, hex, decimal, name) => {
    if (hex !== undefined) return String.fromCodePoint(Number.parseInt(hex, 16));
    if (decimal !== undefined) return String.fromCodePoint(Number(decimal));
    return { lt: "<", gt: ">", amp: "&", quot: '"', apos: "'" }[name as "lt"];
  });
}

type Open = { name: string; children: Element[]; text: string };

/** Throws a RangeError where the text is no such document. */
export function parseXml(text: string): Element {
  const stack: Open[] = [{ name: "", children: [], text: "" }];
  let end = 0;
  for (const found of text.matchAll(TOKEN)) {
    if (found.index !== end) throw new RangeError(`no XML at ${end}`);
    end += found[0].length;
    const top = stack.at(-1);
    if (top === undefined) throw new RangeError("XML ends twice");
    const [whole, name, closed, characters] = found;
    if (characters !== undefined) top.text += plain(characters);
    if (name === undefined) continue;
    const local = name.slice(name.indexOf(":") + 1);
    if (whole.startsWith("</")) {
      if (top.name !== local) throw new RangeError(`</${local}> ends <${top.name}>`);
      stack.pop();
      stack.at(-1)?.children.push(top);
    } else if (closed === "/") top.children.push({ name: local, children: [], text: "" });
    else stack.push({ name: local, children: [], text: "" });
  }
  const [root, second] = stack[0]?.children ?? [];
  if (end !== text.length || stack.length !== 1 || root === undefined || second !== undefined)
    throw new RangeError("no XML document");
  return root;
}

export function escapeXml(text: string): string {
  return text.replace(
    /[&<>"\r]/g,
    (found) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[found] ?? "&#13;",
  );
}
