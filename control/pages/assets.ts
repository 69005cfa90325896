import { textOf } from "../../build/text.ts" with { type: "macro" };

const BASE = textOf("agent/ui/page/base.css");
const OWN = textOf("control/pages/page.css");
/** The pages' one style sheet, as the executable holds it. */
export const PAGE_CSS = `${BASE}\n${OWN}`;
