import type { ReactNode } from 'react';
import { Mark } from './icons.js';

/** A whole page, or pane, that says one thing. */
export function NoticePage({ title, children, level = 1 }: { title: string; children?: ReactNode; level?: 1 | 2 }) {
  const Heading = level === 1 ? 'h1' : 'h2';
  return (
    <div className="notice-page">
      <Mark />
      <Heading>{title}</Heading>
      {children}
    </div>
  );
}

/** Where a list or thread has nothing, or failed. */
export function EmptyState({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className="empty-state">
      <p className="empty-title">{title}</p>
      {children}
    </div>
  );
}
