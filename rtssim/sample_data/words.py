# ruff: noqa: RUF001 - names and texts in many scripts are the point
"""Made-up names, places and texts in many scripts."""

from __future__ import annotations

FIRST_NAMES = (
    "Anna;Björn;Chloë;Daphne;Émile;Fatou;Gustav;Hélène;İpek;João;Kübra;Łukasz;Måns;Niamh;Øyvind;Šárka;Žofia;Nguyễn",
    "Анна;Борис;Виктор;Галина;Дмитрий;Елена;Ірина;Олексій",
    "Αλέξανδρος;Βασιλική;Γεώργιος;Δήμητρα;Ελένη",
    "أحمد;فاطمة;خالد;ليلى;يوسف",
    "אברהם;דוד;מרים;רחל;שרה",
    "伟;芳;娜;敏;静;强",
    "太郎;花子;健一;さくら;美咲",
    "민준;서연;지훈;하은;도윤",
    "สมชาย;สมหญิง;ณัฐ;อรุณ",
    "अमित;प्रिया;राहुल;सुनीता",
)
LAST_NAMES = (
    (
        "Müller;O'Brien;García;Kovačević;Nowak;Sørensen;d'Angelo;Ångström;de la Cruz;Schmidt-Łęcki;Yılmaz"
        ";Trần;McDonald"
    ),
    "Иванов;Петрова;Сидоров;Шевченко;Ковальчук",
    "Παπαδόπουλος;Νικολάου;Γεωργίου",
    "الخطيب;حسن;المصري",
    "כהן;לוי;מזרחי",
    "王;李;张;刘;欧阳",
    "佐藤;鈴木;高橋;田中",
    "김;이;박;최",
    "ใจดี;รักไทย;ศรีสุข",
    "शर्मा;पटेल;सिंह",
)
CITIES = (
    "Köln;São Paulo;Kraków;Montréal;Reykjavík;San José;Zürich;Đà Nẵng;Malmö",
    "Москва;Київ;Софія",
    "Αθήνα;Θεσσαλονίκη",
    "القاهرة;بيروت",
    "תל אביב;חיפה",
    "北京;上海;深圳",
    "東京;大阪;札幌",
    "서울;부산",
    "กรุงเทพฯ;เชียงใหม่",
    "मुंबई;दिल्ली",
)
COUNTRIES = (
    "Germany;Russia;Greece;Egypt;Israel;China;Japan;South Korea;Thailand;India;Brazil;Canada;United States"
)
COMPANIES = (
    "Acme;Nordwind;Édition Lumière;Ţepeş & Söhne;Blue \"Sky\" Labs;Quartz, Flint & Co.;O'Hara's",
    "Ромашка;Северный Ветер",
    "Ήλιος;Θάλασσα",
    "النور;الواحة",
    "אור;ים התיכון",
    "长城科技;东方贸易",
    "株式会社さくら;富士商事",
    "한빛;대한상사",
    "ช้างเผือก;สยามพาณิชย์",
    "भारत ट्रेडर्स;गंगा उद्योग",
)
SUFFIXES = "GmbH;Ltd.;Inc.;S.A.;AG;K.K.;Oy;LLC"
TITLES = 'CEO;VP Sales;Head of "Growth";Ingénieur, R&D;Начальник отдела;営業部長;Office Manager 🌟;Πωλητής'
DOMAINS = "example.com;example.org;mail.example.net;xn--mller-kva.example"
SENTENCES = (
    'Called back, wants the "Pro" plan.',
    "Line one\nline two\nline three",
    "Windows line\r\nendings\r\nfrom an import",
    "Old Mac line\rendings",
    'Quote "inside", comma, semicolon; tab\there.',
    "Emoji: 👩‍💻 🏳️‍🌈 🇩🇪 👍🏽 and plain ☕",
    "Следующий шаг — позвонить в понедельник.",
    "Η επόμενη συνάντηση είναι την Πέμπτη.",
    "العميل مهتم بالعرض — يُرجى المتابعة.",
    "הלקוח מעוניין; לחזור ביום ראשון.",
    "客户希望下周签合同。",
    "来週の打ち合わせで決まります。",
    "다음 주에 다시 연락하기로 했습니다.",
    "ลูกค้าขอใบเสนอราคาใหม่",
    "ग्राहक को नया प्रस्ताव भेजना है।",
    "Zero width: a\u200bb, combining: e\u0301, nbsp:\u00a0end",
    "Math 𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𝟙𝟚𝟛, CJK ext 𠜎𠜱",
    " leading and trailing spaces ",
    "\\backslash\\ and 'single' quotes; NULL; null; =1+1",
)
STREETS = (
    "Hauptstraße 1;12 Rue de l'Église;ул. Ленина, 5\nкв. 7;北京路88号;1-2-3 千代田;שדרות רוטשילד 10"
    ';Suite 4, "The Mill"\r\nOld Road'
)
SUBJECTS = 'Call;Email: "Offer";Встреча;打ち合わせ;Send quote, then call;Follow-up ☎;اتصال'
PRODUCTS = 'Licence;Renewal;Pilot;Upgrade "XL";Услуги;導入支援;Training, on-site'


def split(words: str) -> tuple[str, ...]:
    """Return the words of a `;`-separated list."""
    return tuple(words.split(";"))
