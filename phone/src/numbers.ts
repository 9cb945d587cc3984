import { isSupportedCountry, parsePhoneNumberFromString, type CountryCode } from 'libphonenumber-js/min';

/** The region that a code such as "de" names, or undefined when there is none of that name. */
export function parseRegion(code: string): CountryCode | undefined {
  const region = code.trim().toUpperCase();
  return isSupportedCountry(region) ? region : undefined;
}

/**
 * A number in E.164 ("+4930123456"), a national one by the region. Short codes and names ("72404", "BANK") have no such
 * form and stay as they are.
 */
export function normalizeNumber(number: string, region?: CountryCode): string {
  const trimmed = number.trim();
  if (/\p{L}/u.test(trimmed)) return trimmed;
  const compact = trimmed.replace(/[\s().\-/\u00ad\u2010-\u2015]/g, '').replace(/^00(?=\d{6})/, '+');
  if (/^\d{1,6}$/.test(compact)) return compact;
  const parsed = parsePhoneNumberFromString(compact, region);
  return parsed?.isPossible() ? parsed.number : compact || trimmed;
}
