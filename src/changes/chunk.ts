/** A row that a batch changed, to be told to whoever follows the account. */
export interface ChangedRow {
  account: string;
  seq: number;
  kind: string;
  id: string;
  at: number;
  /** The row as JSON text, or null for a tombstone. Called only when somebody listens. */
  row: () => string | null;
}

/** What one commit changed in one account, in the order of its numbers. */
export interface Chunk {
  account: string;
  /** The account's number before: a follower that has seen it has missed nothing. */
  after: number;
  /** The account's number now. */
  cursor: number;
  /** Absent when they are more than one wants to hold: whoever follows reads them. */
  readonly rows?: readonly ChangedRow[];
}

/** A chunk whose rows are all at hand. */
export type WholeChunk = Chunk & { rows: ChangedRow[] };

const texts = new WeakMap<Chunk, string>();

/** The chunk's rows as the elements of a JSON array, made once however many follow. */
export function chunkText(chunk: Chunk): string {
  let text = texts.get(chunk);
  if (text === undefined) {
    text = (chunk.rows ?? []).map((r) => changeText(r.seq, r.kind, r.id, r.at, r.row())).join(',');
    texts.set(chunk, text);
  }
  return text;
}

/** One change as wire.md's section F has it: `{seq,kind,id,op:'put'|'delete',at,row}`, without `row` for a delete. */
export function changeText(seq: number, kind: string, id: string, at: number, row: string | null): string {
  const head = `{"seq":${seq},"kind":"${kind}","id":${JSON.stringify(id)},"op":"${row === null ? 'delete' : 'put'}","at":${at}`;
  return row === null ? `${head}}` : `${head},"row":${row}}`;
}
