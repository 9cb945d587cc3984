import { useMemo } from 'react';
import { useLanguage } from '../i18n/words.js';

const UNITS = ['byte', 'kilobyte', 'megabyte', 'gigabyte', 'terabyte'];

/** How sizes in bytes are written: 640 bytes, 12 kB, 3.4 MB. */
export function useSizes(): (bytes: number) => string {
  const language = useLanguage();
  return useMemo(() => {
    const formats = UNITS.map(
      (unit, power) =>
        new Intl.NumberFormat(language, {
          ...{ style: 'unit', unit, unitDisplay: power > 0 ? 'short' : 'long' },
          maximumFractionDigits: power > 1 ? 1 : 0,
        }),
    );
    return (bytes) => {
      let [value, power] = [bytes, 0];
      for (; value >= 1000 && power < UNITS.length - 1; power++) value /= 1000;
      return formats[power]!.format(value);
    };
  }, [language]);
}
