import { pageScript, pageText } from "../../build/page.ts" with { type: "macro" };

/** The page as the executable holds it: made when it is built, and the same bytes from the same sources. */
export const PAGE = {
  html: pageText("index.html"),
  css: `${pageText("base.css")}\n${pageText("page.css")}`,
  page: pageScript("page.ts"),
  worker: pageScript("worker.ts"),
} as const;
