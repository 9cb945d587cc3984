import type { ReactNode } from 'react';

// Drawn on a grid of 24, lines of 1.75; they take the color of the text around them and say nothing to screen readers.

function icon(children: ReactNode) {
  return function Icon({ className = '' }: { className?: string }) {
    return (
      <svg className={`icon ${className}`} viewBox="0 0 24 24" aria-hidden="true" focusable="false">
        {children}
      </svg>
    );
  };
}

export const SearchIcon = icon(<path d="M11 4a7 7 0 1 1 0 14 7 7 0 0 1 0-14zm5 12 4 4" />);
export const CloseIcon = icon(<path d="m6 6 12 12M18 6 6 18" />);
export const BackIcon = icon(<path d="M20 12H5m6-6-6 6 6 6" />);
export const PenIcon = icon(<path d="M4 20h4L19 9a2.1 2.1 0 0 0-3-3L5 17l-1 3zM14.5 7.5l3 3" />);
export const SettingsIcon = icon(
  <>
    <path d="M4 7h9M17.5 7H20M4 17h2.5M11 17h9" />
    <circle cx="15.25" cy="7" r="2.25" />
    <circle cx="8.75" cy="17" r="2.25" />
  </>,
);
export const MoreIcon = icon(<path d="M5 12h.01M12 12h.01M19 12h.01" strokeWidth="3" />);
export const PinIcon = icon(<path d="M9 4h6l-.7 5 3.2 3v2H6.5v-2l3.2-3zM12 14v6" />);
export const ArchiveIcon = icon(<path d="M4 5h16v4H4zM5.5 9v10h13V9M10 13h4" />);
export const SendIcon = icon(<path d="M12 19V5m-6 6 6-6 6 6" />);
export const SmileIcon = icon(
  <>
    <circle cx="12" cy="12" r="8.5" />
    <path d="M8.5 14a4.2 4.2 0 0 0 7 0M9 9.5h.01M15 9.5h.01" />
  </>,
);
export const DownIcon = icon(<path d="m6 9.5 6 6 6-6" />);
export const ClockIcon = icon(
  <>
    <circle cx="12" cy="12" r="8" />
    <path d="M12 7.5V12l3 2" />
  </>,
);
export const TickIcon = icon(<path d="m5 12.5 4.5 4.5L19 7.5" />);
export const TwoTicksIcon = icon(<path d="m2 12.5 4.5 4.5L15.5 7.5M11.5 16.5l.7.5L22 7.5" />);
export const WarningIcon = icon(<path d="M12 4 2.8 20h18.4zM12 10v4.5M12 17.2h.01" />);
export const LockIcon = icon(<path d="M6 11h12v9H6zM8.5 11V8a3.5 3.5 0 0 1 7 0v3" />);
export const PhoneIcon = icon(
  <path d="M7.5 3h9a1 1 0 0 1 1 1v16a1 1 0 0 1-1 1h-9a1 1 0 0 1-1-1V4a1 1 0 0 1 1-1zM11 18h2" />,
);
export const BrowserIcon = icon(<path d="M4 5h16v11H4zM9 20h6M12 16v4" />);
export const PersonIcon = icon(
  <path d="M12 4.5a3.7 3.7 0 1 1 0 7.4 3.7 3.7 0 0 1 0-7.4zM4.5 20c.6-3.7 3.7-5.7 7.5-5.7s6.9 2 7.5 5.7" />,
);
export const InfoIcon = icon(
  <>
    <circle cx="12" cy="12" r="8.5" />
    <path d="M12 11v5M12 8h.01" />
  </>,
);
export const GroupIcon = icon(
  <path d="M9 5.5a3.2 3.2 0 1 1 0 6.4 3.2 3.2 0 0 1 0-6.4zM2.8 19c.5-3.2 3-5 6.2-5s5.7 1.8 6.2 5M15.5 5.7a3.2 3.2 0 0 1 0 6M17.5 14.3c2 .6 3.4 2.2 3.7 4.7" />,
);
export const MutedIcon = icon(<path d="M6 16.5V11a6 6 0 0 1 9.5-4.9M18 11v5.5l1.5 1.5H9M10 20.5h4M4 4l16 16" />);
export const ReplyIcon = icon(<path d="M9.5 6.5 4 12l5.5 5.5M4.5 12H14a6 6 0 0 1 6 6v.5" />);
export const ClipIcon = icon(
  <path d="M19.5 11.5 12 19a4.6 4.6 0 0 1-6.5-6.5l8-8a3.1 3.1 0 0 1 4.4 4.4l-7.8 7.8a1.5 1.5 0 0 1-2.2-2.2l7-7" />,
);
export const FileIcon = icon(<path d="M6.5 3.5h7l4 4v13h-11zM13.5 3.5v4h4" />);
export const DownloadIcon = icon(<path d="M12 4v11m-5-5 5 5 5-5M5 19.5h14" />);
export const NextIcon = icon(<path d="m9.5 6 6 6-6 6" />);
export const PreviousIcon = icon(<path d="m14.5 6-6 6 6 6" />);
export const BellIcon = icon(<path d="M6 16.5V11a6 6 0 0 1 12 0v5.5l1.5 1.5h-15zM10 20.5h4" />);

/** Two speech bubbles, one here and one on the phone. */
export function Mark({ className = '' }: { className?: string }) {
  return (
    <svg className={`mark ${className}`} viewBox="0 0 64 64" aria-hidden="true" focusable="false">
      <rect className="mark-ground" width="64" height="64" rx="15" />
      <path
        className="mark-here"
        d="M13 20.5a6.5 6.5 0 0 1 6.5-6.5h15a6.5 6.5 0 0 1 6.5 6.5v6a6.5 6.5 0 0 1-6.5 6.5H27l-6.4 5.5c-1 .9-2.1.3-2.1-1V33a6.5 6.5 0 0 1-5.5-6.5z"
      />
      <path
        className="mark-there"
        d="M46.5 26A6 6 0 0 1 51 31.8v5.7a6 6 0 0 1-4.5 5.8v4.2c0 1.2-1 1.6-1.9.8L39 43.5h-5a6 6 0 0 1-5.8-4.5"
      />
    </svg>
  );
}
