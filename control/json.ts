/** What a text says in JSON; null, which none of our forms takes, where it says nothing. */
export function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
