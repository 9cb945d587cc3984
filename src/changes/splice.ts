/** Adds the opened content, a JSON object, to the plain columns: `{a}` and `{b}` become `{a,b}`. */
export function splice(head: string, content: string): string {
  if (content === '{}') return head;
  return head === '{}' ? content : `${head.slice(0, -1)},${content.slice(1)}`;
}
