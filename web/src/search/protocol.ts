// What the page and its search worker say to each other.

export interface IndexedText {
  id: string;
  conversationId: string;
  text: string;
  timestamp: number;
}

export type ToIndex = { add: IndexedText[] } | { query: string; request: number };

export interface Hit {
  id: string;
  timestamp: number;
  /** The words of the text that fit, as the index keeps them. */
  terms: string[];
}

export interface FromIndex {
  request: number;
  total: number;
  hits: Hit[];
}
