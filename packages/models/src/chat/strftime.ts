/** strftime as Python has it in the C locale: chat templates print the date with it. */

const DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS = [
  ...["January", "February", "March", "April", "May", "June"],
  ...["July", "August", "September", "October", "November", "December"],
];

/** In local time. A directive that we do not know stays as it is, as with glibc; `%-d` is without its zero. */
export function strftime(date: Date, format: string): string {
  return format.replace(/%(-?)([a-zA-Z%])/g, (directive, bare: string, letter: string) => {
    const text = directiveOf(date, letter);
    if (text === null) return directive;
    return bare === "" ? text : text.replace(/^[0 ]+(?=\d)/, "");
  });
}

function directiveOf(date: Date, letter: string): string | null {
  const digits = (value: number, length = 2): string => String(value).padStart(length, "0");
  const hour = date.getHours();
  switch (letter) {
    case "Y":
      return String(date.getFullYear());
    case "y":
      return digits(date.getFullYear() % 100);
    case "m":
      return digits(date.getMonth() + 1);
    case "d":
      return digits(date.getDate());
    case "e":
      return String(date.getDate()).padStart(2);
    case "B":
      return MONTHS[date.getMonth()];
    case "b":
    case "h":
      return MONTHS[date.getMonth()].slice(0, 3);
    case "A":
      return DAYS[date.getDay()];
    case "a":
      return DAYS[date.getDay()].slice(0, 3);
    case "w":
      return String(date.getDay());
    case "u":
      return String(date.getDay() || 7);
    case "j":
      return digits(dayOfYear(date), 3);
    case "H":
      return digits(hour);
    case "I":
      return digits(hour % 12 || 12);
    case "p":
      return hour < 12 ? "AM" : "PM";
    case "M":
      return digits(date.getMinutes());
    case "S":
      return digits(date.getSeconds());
    case "f":
      return digits(date.getMilliseconds() * 1000, 6);
    case "F":
      return strftime(date, "%Y-%m-%d");
    case "D":
    case "x":
      return strftime(date, "%m/%d/%y");
    case "T":
    case "X":
      return strftime(date, "%H:%M:%S");
    case "R":
      return strftime(date, "%H:%M");
    case "c":
      return strftime(date, "%a %b %e %H:%M:%S %Y");
    case "z":
    case "Z":
      return ""; // Python's datetime.now() knows no zone
    case "n":
      return "\n";
    case "t":
      return "\t";
    case "%":
      return "%";
    default:
      return null;
  }
}

/** By way of UTC, where no day is longer than another. */
function dayOfYear(date: Date): number {
  const year = date.getFullYear();
  return 1 + (Date.UTC(year, date.getMonth(), date.getDate()) - Date.UTC(year, 0, 1)) / 86_400_000;
}
