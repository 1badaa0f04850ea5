from twisted.application.service import ServiceMaker

oose = ServiceMaker(
    "oose",
    "oose.tap",
    "The Object Oriented Storage Engine: a prism and its stores.",
    "oose",
)
