import { useEffect, useId, useLayoutEffect, useRef, type KeyboardEvent } from 'react';

export interface MenuItem {
  label: string;
  /** A sign that stands for it, beside others in the first line: `label` is read out. */
  sign?: string;
  /** Whether it stands already, of several. */
  chosen?: boolean;
  dangerous?: boolean;
  act: () => void;
}

export interface MenuPlace {
  x: number;
  y: number;
}

/** Where a context menu belongs: at the pointer, or below what has the focus when the keyboard asked for it. */
export function menuPlace(event: { clientX: number; clientY: number; currentTarget: Element }): MenuPlace {
  if (event.clientX > 0 || event.clientY > 0) return { x: event.clientX, y: event.clientY };
  const { left, bottom } = event.currentTarget.getBoundingClientRect();
  return { x: left + 16, y: bottom - 8 };
}

const EDGE = 8;

/** A context menu. Mount it to open it; arrows move, Escape and anything outside closes. */
export function Menu({
  label,
  items,
  note,
  place,
  onClose,
}: {
  label: string;
  items: MenuItem[];
  /** What there is to know about it. */
  note?: string;
  place: MenuPlace;
  onClose: () => void;
}) {
  const menu = useRef<HTMLDivElement>(null);

  useLayoutEffect(() => {
    const element = menu.current;
    if (element === null) return;
    const { width, height } = element.getBoundingClientRect();
    element.style.left = `${Math.max(EDGE, Math.min(place.x, innerWidth - width - EDGE))}px`;
    element.style.top = `${Math.max(EDGE, Math.min(place.y, innerHeight - height - EDGE))}px`;
    const opener = document.activeElement;
    element.querySelector('button')?.focus();
    return () => {
      if (opener instanceof HTMLElement && opener.isConnected) opener.focus({ preventScroll: true });
    };
  }, [place]);

  const close = useRef(onClose);
  close.current = onClose;
  useEffect(() => {
    const outside = (event: Event) => {
      if (!menu.current?.contains(event.target as Node)) close.current();
    };
    const away = () => close.current();
    window.addEventListener('pointerdown', outside, true);
    window.addEventListener('wheel', outside, { passive: true, capture: true });
    window.addEventListener('resize', away);
    window.addEventListener('blur', away);
    return () => {
      window.removeEventListener('pointerdown', outside, true);
      window.removeEventListener('wheel', outside, true);
      window.removeEventListener('resize', away);
      window.removeEventListener('blur', away);
    };
  }, []);

  const onKeyDown = (event: KeyboardEvent) => {
    event.stopPropagation();
    const buttons = [...(menu.current?.querySelectorAll('button') ?? [])];
    const at = buttons.indexOf(document.activeElement as HTMLButtonElement);
    const move = { ArrowDown: at + 1, ArrowUp: at - 1 + buttons.length, Home: 0, End: buttons.length - 1 }[event.key];
    if (move !== undefined) {
      event.preventDefault();
      buttons[move % buttons.length]?.focus();
    } else if (event.key === 'Escape' || event.key === 'Tab') {
      event.preventDefault();
      onClose();
    }
  };

  const noteId = useId();
  const button = (item: MenuItem) => (
    <button
      key={item.label}
      type="button"
      role="menuitem"
      tabIndex={-1}
      className={`menu-item${item.dangerous ? ' menu-item-danger' : ''}${item.chosen ? ' menu-item-chosen' : ''}`}
      aria-label={item.sign && item.label}
      title={item.sign && item.label}
      onClick={() => {
        onClose();
        item.act();
      }}
    >
      {item.sign ?? item.label}
    </button>
  );
  const signs = items.filter(({ sign }) => sign !== undefined);

  return (
    <div ref={menu} className="menu">
      <div role="menu" aria-label={label} aria-describedby={note && noteId} onKeyDown={onKeyDown}>
        {signs.length > 0 && (
          <div className="menu-signs" role="group">
            {signs.map(button)}
          </div>
        )}
        {items.filter(({ sign }) => sign === undefined).map(button)}
      </div>
      {note && (
        <p id={noteId} className="menu-note">
          {note}
        </p>
      )}
    </div>
  );
}
