import type { Route } from '../route.js';

/** A message that came in, as it is told. */
export interface News {
  route: Extract<Route, { page: 'conversation' | 'chat' }>;
  id: string;
  /** Who wrote it. */
  from: string;
  title: string;
  text: string;
  /** Nothing is to ring for it. */
  quiet: boolean;
}
