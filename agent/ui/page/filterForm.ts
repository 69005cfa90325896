import { ACTIONS, OUTCOMES } from "../../audit/filterWords.ts";
import { h } from "./dom.ts";

/** The filter as it stands in the address, so that what is looked at can be handed on. */
const FIELDS = ["since", "until", "action", "outcome", "command"] as const;

export function filterOf(search: string): URLSearchParams {
  const all = new URLSearchParams(search);
  return new URLSearchParams(FIELDS.flatMap((name) => (all.get(name) ? [[name, all.get(name) ?? ""]] : [])));
}

export function filterForm(filter: URLSearchParams, change: (filter: URLSearchParams) => void): HTMLFormElement {
  const choice = (name: string, label: string, words: readonly string[]): HTMLElement => {
    const options = ["", ...words].map((word) =>
      h("option", { value: word, selected: filter.get(name) === word }, word === "" ? "any" : word),
    );
    return h("label", {}, label, h("select", { name }, ...options));
  };
  const text = (name: string, label: string, type: string): HTMLElement =>
    h(
      "label",
      {},
      label,
      h("input", {
        name,
        type,
        value: filter.get(name)?.slice(0, type === "date" ? 10 : 64) ?? "",
        autocomplete: "off",
      }),
    );
  const form = h(
    "form",
    { role: "search", "aria-label": "Filter", class: "filter" },
    text("since", "From", "date"),
    text("until", "Before", "date"),
    choice("action", "Action", ACTIONS),
    choice("outcome", "Outcome", OUTCOMES),
    text("command", "Command id", "text"),
    h("button", { type: "submit" }, "Filter"),
    h("button", { type: "reset" }, "Clear"),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const given = new FormData(form);
    change(
      new URLSearchParams(FIELDS.flatMap((name) => (given.get(name) ? [[name, String(given.get(name)).trim()]] : []))),
    );
  });
  form.addEventListener("reset", (event) => {
    event.preventDefault();
    change(new URLSearchParams());
  });
  return form;
}
