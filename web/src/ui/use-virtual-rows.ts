import { useCallback, useLayoutEffect, useRef, useState, type RefObject } from 'react';

const AROUND = 10; // Rows kept beyond each edge, for fast scrolling and for the focus.

/** Which of `count` rows, all `height` px high, are in or near the view of a scroller: `from` up to, not with, `to`. */
export function useVirtualRows(
  scroller: RefObject<HTMLElement | null>,
  count: number,
  height: number,
): { from: number; to: number; reveal: (index: number) => void } {
  const [range, setRange] = useState({ from: 0, to: 30 });
  const measured = useRef(() => {});
  measured.current = () => {
    const element = scroller.current;
    if (element === null) return;
    const from = Math.max(0, Math.floor(element.scrollTop / height) - AROUND);
    const to = Math.ceil((element.scrollTop + element.clientHeight) / height) + AROUND;
    setRange((before) => (before.from === from && before.to === to ? before : { from, to }));
  };

  useLayoutEffect(() => {
    const element = scroller.current;
    if (element === null) return;
    const measure = () => measured.current();
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    element.addEventListener('scroll', measure, { passive: true });
    return () => {
      observer.disconnect();
      element.removeEventListener('scroll', measure);
    };
    // The scroller is not there before there is something to show.
  }, [scroller, count > 0]);

  /** Scrolls as little as needed to have a whole row in view. */
  const reveal = useCallback(
    (index: number) => {
      const element = scroller.current;
      if (element === null) return;
      const top = index * height;
      if (top < element.scrollTop) element.scrollTop = top;
      else if (top + height > element.scrollTop + element.clientHeight)
        element.scrollTop = top + height - element.clientHeight;
      measured.current();
    },
    [scroller, height],
  );

  return { from: Math.min(range.from, count), to: Math.min(range.to, count), reveal };
}
